"""API keys: made, shown once, and revoked."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import CheckboxSelectMultiple, ModelForm, MultipleChoiceField
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.admin import ModelAdmin
from unfold.decorators import display

from apps.accounts.actions import create_api_key, revoke_api_key
from apps.accounts.domain.keys import WORKSPACE_SCOPES, Scope
from apps.accounts.models import ApiKey
from apps.accounts.permissions import Audited, ByOwners, WorkspaceFilter, reason_of
from apps.lib.clock import current_time
from apps.lib.http_errors import ApiError

_STATE_COLOURS = {"live": "success", "revoked": "danger", "expired": "warning"}
_WHAT_FOR = {
    Scope.CHAT: "chat: single calls, answered at once",
    Scope.BATCHES: "batches: submit, list, cancel batches",
    Scope.FILES: "files: upload, download, delete",
    Scope.JOBS: "jobs: watch, pause, resume",
    Scope.PROMPTS: "prompts: read, write and publish prompts",
    Scope.DOCUMENTS: "documents: upload, read, search and delete documents",
    Scope.SPEND: "spend: read what it cost",
    Scope.ADMIN: "admin: manage keys and webhooks",
    Scope.PLATFORM: "platform: see, pause and resume the providers that all workspaces share",
}


def _scopes(offered: Sequence[Scope]) -> MultipleChoiceField:
    return MultipleChoiceField(
        choices=[(scope.value, _WHAT_FOR[scope]) for scope in offered],
        initial=[scope.value for scope in WORKSPACE_SCOPES],
        widget=CheckboxSelectMultiple,
        help_text="What the key may be used for. Give a program no more than it needs.",
    )


class ApiKeyForm(ModelForm):  # type: ignore[type-arg]  # Django's own form
    """A key's name, scopes and expiry."""

    scopes = _scopes(tuple(Scope))

    class Meta:
        model = ApiKey
        fields = ("workspace", "name", "scopes", "expires_at")


@admin.register(ApiKey)
class ApiKeyAdmin(Audited, ByOwners, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """Programs' ways in: the secret is shown once, when a key is made."""

    form = ApiKeyForm
    needs_reason = frozenset({"add", "change"})
    list_display = ("prefix", "name", "workspace", "state", "allowed", "last_used_at", "expires_at", "created_at")
    list_filter = (("workspace", WorkspaceFilter),)
    list_select_related = ("workspace",)
    search_fields = ("prefix", "name")
    ordering = ("-created_at",)
    actions = ("revoke",)
    list_after_template = "accounts/empty.html"
    empty_hint = "No key here yet. An owner of a workspace makes one with 'Add API key'; programs send it as 'Authorization: Bearer <key>'."

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:  # noqa: ARG002 -- Django's signature
        return ("workspace", "prefix", "created_at", "last_used_at", "revoked_at") if obj else ()

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        return ("workspace", "name", "scopes", "expires_at", *self.get_readonly_fields(request, obj)[1:])

    def get_form(self, request: HttpRequest, obj: Any = None, **options: Any) -> Any:
        """What belongs to all workspaces is for superusers to give; an owner who changes such a key takes it back."""
        form = super().get_form(request, obj, **options)
        if not request.user.is_superuser and "scopes" in form.base_fields:
            form.base_fields["scopes"] = _scopes(WORKSPACE_SCOPES)
        return form

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:  # noqa: FBT001 -- Django's signature
        if change:
            # Whoever revokes it at this moment has revoked it.
            obj.save(update_fields=form.changed_data)
            return
        made = create_api_key(
            workspace_id=obj.workspace_id,
            name=obj.name,
            scopes=[Scope(scope) for scope in obj.scopes],
            expires_at=obj.expires_at,
            created_by_id=request.user.pk,
            reason=form.cleaned_data["reason"],
        )
        # The page goes on with the row that the action made.
        obj.pk, obj.prefix = made.key.pk, made.key.prefix
        request.made_secret = made.secret  # type: ignore[attr-defined]  # for the answer to this very request

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """The action has written it down."""

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:  # noqa: ARG002 -- Django's signature
        """The secret stands in this one answer: no message, session or address ever holds it."""
        context = self.admin_site.each_context(request) | {
            "title": "Copy the new API key now",
            "key": obj,
            "secret": request.made_secret,  # type: ignore[attr-defined]  # set by save_model
            "opts": self.opts,
        }
        response = TemplateResponse(request, "accounts/new_key.html", context)
        response.headers["Cache-Control"] = "no-store"
        return response

    @display(description="state", label=_STATE_COLOURS)  # type: ignore[untyped-decorator]  # unfold ships no types
    def state(self, key: ApiKey) -> str:
        if key.revoked_at:
            return "revoked"
        return "expired" if key.expires_at and key.expires_at <= current_time() else "live"

    @admin.display(description="may be used for")
    def allowed(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    @admin.action(description="Revoke…", permissions=["change"])
    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> HttpResponse | None:
        """Ask first, then revoke those of the workspaces that the user owns."""
        allowed = [key for key in keys.filter(revoked_at=None).select_related("workspace") if self.has_change_permission(request, key)]
        if not allowed:
            messages.error(request, "Nothing to revoke: these keys are revoked already, or you don't own their workspace.")
            return None
        if "confirmed" not in request.POST:
            context = self.admin_site.each_context(request) | {"title": "Revoke these keys?", "keys": allowed, "opts": self.opts}
            return TemplateResponse(request, "accounts/revoke.html", context)
        try:
            reason = reason_of(request)
        except ApiError as refused:
            messages.error(request, refused.message)
            return None
        revoked = sum(revoke_api_key(key_id=key.pk, now=current_time(), reason=reason) for key in allowed)
        messages.success(request, f"{revoked} key{'' if revoked == 1 else 's'} revoked.")
        return None

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 -- Django's signature
        """Keys are revoked, so that what they did stays explained."""
        return False
