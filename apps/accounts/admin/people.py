"""Users, groups, workspaces and their members."""

from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.admin import ModelAdmin, TabularInline
from unfold.forms import UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminTextInputWidget

from apps.accounts.actions import end_second_factor
from apps.accounts.forms import OthersPasswordForm
from apps.accounts.models import Member, Role, User, Workspace
from apps.accounts.permissions import Audited, ByWorkspace, reason_of
from apps.accounts.queries import may_delete_workspace
from apps.lib.http_errors import ApiError

admin.site.unregister(Group)


@admin.register(Group)
class PlatformGroupAdmin(Audited, GroupAdmin, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """Groups of users."""

    needs_reason = frozenset({"add", "change", "delete"})
    list_after_template = "accounts/empty.html"
    empty_hint = "Groups are optional: what people may do comes from their role in a workspace."


@admin.register(User)
class PlatformUserAdmin(Audited, UserAdmin, ModelAdmin):  # type: ignore[misc,type-arg]  # unfold ships no types
    """People who sign in."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = OthersPasswordForm
    change_user_password_template = "accounts/change_password.html"  # noqa: S105 -- the name of a file
    needs_reason = frozenset({"add", "change", "delete"})
    list_display = ("username", "email", "is_staff", "is_superuser", "is_active", "second_factor_since", "last_login")
    actions = ("reset_second_factor",)
    list_after_template = "accounts/empty.html"
    empty_hint = "Nobody matches. 'Add user' makes somebody who can sign in; then make them a member on their workspace's page."
    add_fieldsets = (
        (
            None,
            {
                "description": "'Staff status' lets somebody in here; what they see comes from the workspaces they belong to.",
                "fields": ("username", "email", "usable_password", "password1", "password2", "is_staff"),
            },
        ),
    )

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Whoever is added here is to come in here."""
        return {"is_staff": True} | super().get_changeform_initial_data(request)

    @admin.action(description="Switch the second factor off…", permissions=["change"])
    def reset_second_factor(self, request: HttpRequest, users: QuerySet[User]) -> HttpResponse | None:
        """For whoever lost the phone: ask first, then let them in by the password alone."""
        # One's own takes a code, on its own page: else a session that somebody left open would be enough.
        chosen = list(users.exclude(second_factor_since=None).exclude(pk=str(request.user.pk)))
        if not chosen and users.filter(pk=str(request.user.pk)).exists():
            messages.error(request, "Your own second factor is switched off on its page, by a code. Another superuser can do it for you.")
            return None
        if not chosen:
            messages.error(request, "Nothing to switch off: nobody of these has a second factor.")
            return None
        if "confirmed" not in request.POST:
            context = self.admin_site.each_context(request) | {
                "title": "Switch the second factor off?",
                "people": chosen,
                "opts": self.opts,
            }
            return TemplateResponse(request, "accounts/reset_second_factor.html", context)
        try:
            reason = reason_of(request)
        except ApiError as refused:
            messages.error(request, refused.message)
            return None
        ended = sum(end_second_factor(user_id=user.pk, reason=reason) for user in chosen)
        messages.success(request, f"The second factor is off for {ended} user{'' if ended == 1 else 's'}.")
        return None


class MemberForm(forms.ModelForm):  # type: ignore[type-arg]  # Django's own form
    """A member by user name, so that an owner can name people without seeing the list of all users."""

    user = forms.ModelChoiceField(
        queryset=User.objects.filter(is_active=True),
        to_field_name="username",
        label="user name",
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
        error_messages={"invalid_choice": "Nobody has this user name. A superuser adds people under Users."},
    )

    class Meta:
        model = Member
        fields = ("user", "role")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.instance.user_id:
            self.initial["user"] = self.instance.user.get_username()


class MemberFormSet(forms.BaseInlineFormSet):  # type: ignore[type-arg]  # Django's own formset
    """Keeps an owner where there is one."""

    def clean(self) -> None:
        super().clean()
        stays = [form.cleaned_data for form in self.forms if form.is_valid() and not form.cleaned_data.get("DELETE")]
        had_owner = any(form.initial.get("role") == Role.OWNER for form in self.initial_forms)
        if had_owner and not any(member.get("role") == Role.OWNER for member in stays):
            raise ValidationError("A workspace needs an owner: make somebody else the owner first.")


class MemberInline(TabularInline):  # type: ignore[misc]  # unfold ships no types
    """Who belongs to a workspace. Owners manage the members of their own; viewers read, members also submit, owners manage keys."""

    model = Member
    form = MemberForm
    formset = MemberFormSet
    extra = 0
    verbose_name_plural = "members (viewer: reads; member: also submits and changes jobs; owner: also manages keys and members)"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Member]:
        rows: QuerySet[Member] = super().get_queryset(request).select_related("user", "workspace")
        return rows

    def has_view_permission(self, request: HttpRequest, obj: Workspace | None = None) -> bool:  # noqa: ARG002 -- Django's signature
        """Whoever may open the workspace's page sees who belongs to it."""
        return True

    def has_change_permission(self, request: HttpRequest, obj: Workspace | None = None) -> bool:
        if request.user.is_superuser:
            return True
        return obj is not None and Member.objects.filter(workspace=obj, user_id=str(request.user.pk), role=Role.OWNER).exists()

    def has_add_permission(self, request: HttpRequest, obj: Workspace | None = None) -> bool:
        return self.has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Workspace | None = None) -> bool:
        return self.has_change_permission(request, obj)


class WorkspaceForm(forms.ModelForm):  # type: ignore[type-arg]  # Django's own form
    """A workspace with a time zone that exists."""

    class Meta:
        model = Workspace
        fields = ("name", "time_zone", "has_failover", "keep_bodies_days", "keep_runs_days", "keep_items_days", "keep_files_days")

    def clean_time_zone(self) -> str:
        name: str = self.cleaned_data["time_zone"]
        if name not in available_timezones():
            raise ValidationError("There is no such time zone. Write it as region and city, for example Europe/Berlin, or UTC.")
        return name


@admin.register(Workspace)
class WorkspaceAdmin(Audited, ByWorkspace, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """Who owns and pays."""

    workspace_path = ""
    change_role = Role.OWNER
    form = WorkspaceForm
    list_display = ("name", "people", "time_zone", "created_at")
    search_fields = ("name",)
    ordering = ("name",)
    inlines = (MemberInline,)
    list_after_template = "accounts/empty.html"
    empty_hint = "You belong to no workspace yet: ask an owner to add you, or a superuser to make one."
    change_form_outer_after_template = "accounts/workspace.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Workspace]:
        rows: QuerySet[Workspace] = super().get_queryset(request).filter(deleted_at=None)
        # Counted apart: the filter by member that staff get would count only themselves.
        return Workspace.objects.filter(pk__in=rows.values("pk")).annotate(number_of_members=Count("members"))

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None) -> Any:
        """With the way to its deletion, for those who may."""
        row = self.get_object(request, object_id)
        may_erase = row is not None and may_delete_workspace(request.user, row.pk)
        return super().change_view(request, object_id, form_url, (extra_context or {}) | {"may_erase": may_erase})

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """What is being deleted is changed by nobody."""
        allowed: bool = super().has_change_permission(request, obj)
        return allowed and (obj is None or obj.deleting_at is None)

    @admin.display(description="members", ordering="number_of_members")
    def people(self, workspace: Any) -> int:
        number: int = workspace.number_of_members
        return number

    def audited_workspace(self, obj: Any) -> Any:
        return obj.pk

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 -- Django's signature
        """Millions of rows in many tables can belong to a workspace: not the work of a web request. The page below asks for it."""
        return False
