"""Users, workspaces, members and API keys in the back office."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.forms import CheckboxSelectMultiple, ModelForm, MultipleChoiceField
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from unfold.admin import ModelAdmin, TabularInline
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from apps.accounts.actions import create_api_key, revoke_api_key
from apps.accounts.domain.keys import Scope
from apps.accounts.models import ApiKey, Member, Role, User, Workspace
from apps.accounts.permissions import ByWorkspace, WorkspaceFilter

admin.site.unregister(Group)


@admin.register(Group)
class PlatformGroupAdmin(GroupAdmin, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """Groups of users."""


@admin.register(User)
class PlatformUserAdmin(UserAdmin, ModelAdmin):  # type: ignore[misc,type-arg]  # unfold ships no types
    """People who sign in."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "is_staff", "is_superuser", "is_active", "last_login")


class MemberInline(TabularInline):  # type: ignore[misc]  # unfold ships no types
    """Who belongs to a workspace."""

    model = Member
    extra = 0
    autocomplete_fields = ("user",)
    verbose_name_plural = "members"

    def has_view_permission(self, request: HttpRequest, obj: Workspace | None = None) -> bool:  # noqa: ARG002 -- Django's signature
        """Whoever may open the workspace's page sees who belongs to it; superusers change it."""
        return True


@admin.register(Workspace)
class WorkspaceAdmin(ByWorkspace, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """Who owns and pays."""

    workspace_path = ""
    change_role = Role.OWNER
    list_display = ("name", "time_zone", "created_at")
    search_fields = ("name",)
    inlines = (MemberInline,)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 -- Django's signature
        """Millions of rows in many tables can belong to a workspace: not the work of a web request."""
        return False


class ApiKeyForm(ModelForm):  # type: ignore[type-arg]  # Django's own form
    """A key's name, scopes and expiry."""

    scopes = MultipleChoiceField(
        choices=[(scope.value, scope.value) for scope in Scope],
        initial=[scope.value for scope in Scope],
        widget=CheckboxSelectMultiple,
        help_text="What the key may be used for.",
    )

    class Meta:
        model = ApiKey
        fields = ("workspace", "name", "scopes", "expires_at")


@admin.register(ApiKey)
class ApiKeyAdmin(ByWorkspace, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """Programs' ways in: the secret is shown once, when a key is made."""

    change_role = Role.OWNER
    form = ApiKeyForm
    list_display = ("prefix", "name", "workspace", "state", "scopes", "last_used_at", "expires_at", "created_at")
    list_filter = (("workspace", WorkspaceFilter),)
    list_select_related = ("workspace",)
    search_fields = ("prefix", "name")
    actions = ("revoke",)

    def get_readonly_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:  # noqa: ARG002 -- Django's signature
        return ("workspace", "prefix", "created_at", "last_used_at", "revoked_at") if obj else ()

    def get_fields(self, request: HttpRequest, obj: ApiKey | None = None) -> tuple[str, ...]:
        return ("workspace", "name", "scopes", "expires_at", *self.get_readonly_fields(request, obj)[1:])

    def has_add_permission(self, request: HttpRequest) -> bool:
        if request.user.is_superuser:
            return True
        return Member.objects.filter(user_id=str(request.user.pk), role=Role.OWNER).exists()

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        if db_field.name == "workspace" and not request.user.is_superuser:
            options["queryset"] = Workspace.objects.filter(members__user_id=str(request.user.pk), members__role=Role.OWNER)
        return super().formfield_for_foreignkey(db_field, request, **options)

    def save_model(self, request: HttpRequest, obj: ApiKey, form: Any, change: bool) -> None:  # noqa: FBT001 -- Django's signature
        if change:
            super().save_model(request, obj, form, change)
            return
        made = create_api_key(
            workspace_id=obj.workspace_id,
            name=obj.name,
            scopes=[Scope(scope) for scope in obj.scopes],
            expires_at=obj.expires_at,
            created_by_id=request.user.pk,
        )
        # The page goes on with the row that the action made.
        obj.pk, obj.prefix = made.key.pk, made.key.prefix
        messages.warning(request, f"Copy the key now, it is not shown again: {made.secret}")

    @admin.display(description="state")
    def state(self, key: ApiKey) -> str:
        if key.revoked_at:
            return "revoked"
        return "expired" if key.expires_at and key.expires_at <= timezone.now() else "live"

    @admin.action(description="Revoke…", permissions=["change"])
    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> HttpResponse | None:
        """Ask first, then revoke those of the workspaces that the user owns."""
        allowed = [key for key in keys.filter(revoked_at=None).select_related("workspace") if self.has_change_permission(request, key)]
        if not allowed:
            messages.error(request, "Nothing to revoke: these keys are revoked already, or you don't own their workspace.")
            return None
        if "confirmed" not in request.POST:
            context = self.admin_site.each_context(request) | {"title": "Revoke these keys?", "keys": allowed}
            return TemplateResponse(request, "accounts/revoke.html", context)
        revoked = sum(revoke_api_key(key_id=key.pk, now=timezone.now()) for key in allowed)
        messages.success(request, f"{revoked} key{'' if revoked == 1 else 's'} revoked.")
        return None

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 -- Django's signature
        """Keys are revoked, so that what they did stays explained."""
        return False
