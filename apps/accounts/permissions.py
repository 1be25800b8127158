"""What a key may be used for, what staff may see and do in the back office, and that it is written down."""

from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.admin import RelatedFieldListFilter
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import flatten_fieldsets, unquote
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from apps.accounts.actions import record_audit
from apps.accounts.domain.audit import is_secret
from apps.accounts.domain.second_factor import Step, next_step
from apps.accounts.models import ApiKey, Member, Role
from apps.accounts.queries import may_submit, workspaces_for_submitting, workspaces_of, workspaces_owned_by
from apps.lib.admin_lookups import is_comparable
from apps.lib.http_errors import ApiError
from apps.lib.keyset_lists import only
from apps.lib.why_field import MISSING, MOST_CHARACTERS, NAME, WhyField


def sign_in_step(user: Any) -> Step:
    """What somebody who gave the right password still has to do. `otp_device` is what django-otp found in the session."""
    return next_step(
        has_factor=getattr(user, "second_factor_since", None) is not None,
        is_verified=getattr(user, "otp_device", None) is not None,
        is_required=settings.SECOND_FACTOR == "required",
    )


def key_of(request: Request) -> ApiKey:
    """The key that a request came with; only behind ApiKeyAuthentication, which lets nobody in without one."""
    if not isinstance(request.auth, ApiKey):
        raise ApiError(401, "invalid_api_key", "Send an API key as 'Authorization: Bearer <key>'.")
    return request.auth


def require_scope(key: ApiKey, scope: str) -> None:
    """ApiError 403 that names the scope which `key` lacks."""
    if scope not in key.scopes:
        message = f"This API key lacks the scope '{scope}'; make one with it in the back office or by 'manage.py create_api_key'."
        raise ApiError(403, "missing_scope", message)


class HasScope(BasePermission):
    """The view says which scope it needs, as `required_scope`; a view that says nothing lets nobody in."""

    def has_permission(self, request: Request, view: Any) -> bool:
        scope = getattr(view, "required_scope", None)
        if scope is None or not isinstance(request.auth, ApiKey):
            return False
        require_scope(request.auth, scope)
        return True


_RANK = {Role.VIEWER: 0, Role.MEMBER: 1, Role.OWNER: 2}


class WorkspaceFilter(RelatedFieldListFilter):
    """Offers the workspaces that the user may see."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> Any:  # noqa: ARG002 -- Django's signature
        own = {} if request.user.is_superuser else {"members__user": request.user}
        return field.get_choices(include_blank=False, ordering=("name",), limit_choices_to=own)


class ByWorkspace:
    """For a ModelAdmin: staff see the rows of the workspaces they belong to and change them by their role; superusers see all."""

    workspace_path = "workspace"
    change_role = Role.MEMBER

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)  # type: ignore[misc]  # a mixin
        ids = self.workspaces_shown(request)
        path = self.workspace_path or "pk"
        if ids is not None and len(ids) == 1:
            return rows.filter(**only(path, ids[0]))
        return rows if ids is None else rows.filter(**{f"{path}__in": ids})

    def workspaces_shown(self, request: HttpRequest) -> list[UUID] | None:
        """The ids of the workspaces whose rows the user sees, asked once for a request; None for a superuser.

        By ids, not by a join: the planner then reads the rows from the index that begins with the workspace.
        """
        known: dict[Any, list[UUID] | None] = request.__dict__.setdefault("workspaces_shown", {})
        if request.user.pk not in known:
            known[request.user.pk] = workspaces_of(request.user)
        return known[request.user.pk]

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Django's, but for values that the column can't be compared with: those it would hand on to Postgres."""
        allowed: bool = super().lookup_allowed(lookup, value, request)  # type: ignore[misc]  # a mixin
        return allowed and is_comparable(self.model, lookup, value)  # type: ignore[attr-defined]  # a mixin

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.is_active and request.user.is_staff

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.is_active and request.user.is_staff and (obj is None or self._rank(request, obj) >= 0)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        if obj is None:
            return self.has_view_permission(request)
        return self._rank(request, obj) >= _RANK[self.change_role]

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002 -- Django's signature
        return request.user.is_superuser

    def _rank(self, request: HttpRequest, row: Model) -> int:
        """The user's role in the row's workspace as a number; -1 for a stranger."""
        if request.user.is_superuser:
            return _RANK[Role.OWNER]
        workspace: Any = row
        for part in filter(None, self.workspace_path.split("__")):
            workspace = getattr(workspace, part)
        role = Member.objects.filter(workspace=workspace, user_id=str(request.user.pk)).values_list("role", flat=True).first()
        return -1 if role is None else _RANK[Role(role)]


class ByOwners(ByWorkspace):
    """For a ModelAdmin of what owners keep for their workspaces: they add, change and choose among their own alone."""

    change_role = Role.OWNER

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser or workspaces_owned_by(request.user).exists()

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if db_field.name == "workspace":
            options["queryset"] = choices = workspaces_owned_by(request.user)
            # Most people have one: nothing to choose.
            only = list(choices[:2])
            options["initial"] = only[0] if len(only) == 1 else None
        return super().formfield_for_foreignkey(db_field, request, **options)  # type: ignore[misc]  # a mixin


class ForSuperusers:
    """For a ModelAdmin of what belongs to the whole platform: superusers alone."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002 -- Django's signature
        return request.user.is_superuser


class ReadOnly:
    """For a ModelAdmin of records that nobody edits."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 -- Django's signature
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002 -- Django's signature
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002 -- Django's signature
        return False


class MadeByMembers:
    """For a ModelAdmin of what members of a workspace make, by actions that write it down: who may, and pages of its own."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return may_submit(request.user)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        """The workspaces to choose from; the only one is chosen."""
        if db_field.name == "workspace":
            options["queryset"] = choices = workspaces_for_submitting(request.user)
            only_two = list(choices[:2])
            options["initial"] = only_two[0] if len(only_two) == 1 else None
        return super().formfield_for_foreignkey(db_field, request, **options)  # type: ignore[misc]  # a mixin

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """The action has written it down."""

    def may_change(self, request: HttpRequest, row: Model) -> bool:
        """The row's form is for looking alone, whoever looks; its pages are for those who may change it."""
        return ByWorkspace.has_change_permission(self, request, row)  # type: ignore[arg-type]  # beside it

    def page(self, request: HttpRequest, template: str, **context: Any) -> HttpResponse:
        """A page of its own in the back office's frame."""
        shown = self.admin_site.each_context(request) | context | {"opts": self.opts}  # type: ignore[attr-defined]  # a mixin
        return TemplateResponse(request, template, shown)

    def back(self, row: Model) -> HttpResponse:
        """To the row's page."""
        told = row._meta  # noqa: SLF001 -- Django's documented way to a model's name
        return HttpResponseRedirect(reverse(f"admin:{told.app_label}_{told.model_name}_change", args=[row.pk]))


def reason_of(request: HttpRequest, *, is_needed: bool = True) -> str:
    """What somebody wrote under 'Why?'; ApiError 400 when it is needed and isn't there. Programs may leave it out, people may not."""
    # Postgres takes no U+0000 in a text.
    reason = request.POST.get(NAME, "").replace("\0", "").strip()[:MOST_CHARACTERS]
    if is_needed and not reason:
        raise ApiError(400, "missing_required_parameter", MISSING, param=NAME)
    return reason


class Audited:
    """For a ModelAdmin: whatever its forms add, change or delete goes into the audit log, in the same transaction, with the reason.

    Takes the place of Django's own log, which keeps neither values nor reasons.
    """

    # What nobody does without saying why, of "add", "change" and "delete"; for the rest the reason is optional.
    needs_reason: frozenset[str] = frozenset({"change", "delete"})
    # Off where the actions behind the form take none.
    asks_why = True

    def get_form(self, request: HttpRequest, obj: Any = None, **options: Any) -> Any:
        """Django's, with one field more for whoever may save it."""
        if options.get("fields") is not None:
            options["fields"] = [name for name in options["fields"] if name != NAME]
        elif "fields" not in options:
            options["fields"] = [name for name in flatten_fieldsets(self.get_fieldsets(request, obj)) if name != NAME]
        form = super().get_form(request, obj, **options)  # type: ignore[misc]  # a mixin
        if self._asks(request, obj):
            form.base_fields[NAME] = WhyField(is_needed=("change" if obj else "add") in self.needs_reason)
        return form

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """The reason comes last."""
        shown = list(super().get_fieldsets(request, obj))  # type: ignore[misc]  # a mixin
        if not self._asks(request, obj) or NAME in flatten_fieldsets(shown):
            return shown
        return [*shown, (None, {"fields": (NAME,)})]

    def _may_delete(self, request: HttpRequest, row: Model | None = None) -> bool:
        allowed: bool = self.has_delete_permission(request, row)  # type: ignore[attr-defined]  # a mixin
        return allowed

    def _asks(self, request: HttpRequest, obj: Model | None) -> bool:
        if not self.asks_why:
            return False
        allowed: bool = self.has_change_permission(request, obj) if obj else self.has_add_permission(request)  # type: ignore[attr-defined]  # a mixin
        return allowed

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        """Django's page, which asks for the reason as well."""
        is_needed = "delete" in self.needs_reason
        row = self.get_object(request, unquote(object_id)) if request.POST else None  # type: ignore[attr-defined]  # a mixin
        is_allowed = row is not None and self._may_delete(request, row)
        if is_allowed and is_needed and not reason_of(request, is_needed=False):
            messages.error(request, MISSING)
            return HttpResponseRedirect(request.get_full_path())
        return super().delete_view(request, object_id, (extra_context or {}) | {"why_is_needed": is_needed})  # type: ignore[misc]  # a mixin

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """Django's, unless an id is none that a row could have: Postgres would refuse it. Nothing is deleted without a reason either."""
        is_needed = "delete" in self.needs_reason
        is_done = "delete_selected" in request.POST.getlist("action") and "post" in request.POST
        if is_done and is_needed and self._may_delete(request) and not reason_of(request, is_needed=False):
            messages.error(request, MISSING)
            return HttpResponseRedirect(request.get_full_path())
        for text in request.POST.getlist(ACTION_CHECKBOX_NAME):
            try:
                self.model._meta.pk.clean(text, None)  # type: ignore[attr-defined]  # noqa: SLF001 -- a mixin; how Django calls it
            except ValidationError:
                messages.error(request, f"Nothing was done: {text[:100]!r} is the id of no row.")
                return HttpResponseRedirect(request.get_full_path())
        answer = super().response_action(request, queryset)  # type: ignore[misc]  # a mixin
        if isinstance(answer, TemplateResponse):
            answer.context_data = (answer.context_data or {}) | {"why_is_needed": is_needed}
        return answer

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:  # noqa: ARG002, FBT001, FBT002 -- Django's signature
        """What the forms changed, by field; the rows of inlines by their names; and why."""
        before = {} if add else {name: _told(form, name, form.initial.get(name)) for name in form.changed_data}
        after = {name: _told(form, name, form.cleaned_data.get(name), is_new=True) for name in form.changed_data}
        for formset in formsets or ():
            for row in formset.new_objects:
                after[str(row)] = "added"
            for row in formset.deleted_objects:
                before[str(row)], after[str(row)] = "there", "removed"
            for row, names in formset.changed_objects:
                inline = next(part for part in formset.forms if part.instance.pk == row.pk)
                for name in names:
                    before[f"{row}: {name}"] = _told(inline, name, inline.initial.get(name))
                    after[f"{row}: {name}"] = _told(inline, name, inline.cleaned_data.get(name), is_new=True)
        return {"before": before, "after": after, "reason": form.cleaned_data.get(NAME, "")}

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> None:  # noqa: ARG002 -- Django's signature
        self._record(obj, "added", message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> None:  # noqa: ARG002 -- Django's signature
        if message["before"] or message["after"]:
            self._record(obj, "changed", message)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> None:
        for row in queryset:
            self._record(row, "deleted", {"reason": reason_of(request, is_needed=False)})

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponseRedirect:  # noqa: ARG002 -- Django's signature
        """An object's history is its part of the audit log."""
        return HttpResponseRedirect(f"{reverse('admin:accounts_auditentry_changelist')}?q={object_id}")

    def audited_workspace(self, obj: Model) -> Any:
        """The id of the workspace whose members may read the entry; None: superusers alone."""
        return getattr(obj, "workspace_id", None)

    def _record(self, obj: Model, verb: str, message: dict[str, Any]) -> None:
        record_audit(
            verb=verb,
            object_type=str(obj._meta.verbose_name),  # noqa: SLF001 -- how Django calls it
            object_id=obj.pk,
            object_label=str(obj),
            workspace_id=self.audited_workspace(obj),
            **message,
        )


def _told(form: Any, name: str, value: Any, *, is_new: bool = False) -> Any:
    """A value as people know it: of a secret only that there is one, of a row its name."""
    if is_secret(name):
        return "(secret)" if is_new and value else None
    if isinstance(value, Model):
        return str(value)
    if isinstance(value, QuerySet | list):
        return sorted(str(part) for part in value)
    field = form.fields.get(name)
    if value and hasattr(field, "queryset"):
        return str(field.queryset.filter(pk=value).first() or value)
    return value
