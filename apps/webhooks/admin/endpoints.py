"""Endpoints: owners register, change, test and delete them; secrets are shown once."""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.forms import CheckboxSelectMultiple, ModelForm, MultipleChoiceField
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.views.decorators.http import require_POST
from unfold.admin import ModelAdmin
from unfold.decorators import display

from apps.accounts.permissions import Audited, ByOwners, WorkspaceFilter, reason_of
from apps.lib.clock import current_time
from apps.lib.http_errors import ApiError
from apps.webhooks import actions
from apps.webhooks.actions.create_endpoint import require_room
from apps.webhooks.actions.lock_endpoint import require_good_url
from apps.webhooks.domain.events import EventType
from apps.webhooks.models import Endpoint

_STATE_COLOURS = {"on": "success", "failing": "warning", "off": "danger"}


class EndpointForm(ModelForm):  # type: ignore[type-arg]  # Django's own form
    """An endpoint's name, URL and events."""

    events = MultipleChoiceField(
        choices=[(event.value, event.value) for event in EventType],
        initial=[event.value for event in EventType],
        widget=CheckboxSelectMultiple,
        help_text="What it is told of: how a batch has ended, and the alerts of its workspace.",
    )

    class Meta:
        model = Endpoint
        fields = ("workspace", "name", "url", "events", "is_enabled")

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"]
        if url != self.initial.get("url"):
            try:
                require_good_url(url)
            except ApiError as refused:
                raise ValidationError(refused.message) from refused
        return url

    def clean_workspace(self) -> Any:
        workspace = self.cleaned_data["workspace"]
        try:
            require_room(workspace.pk)
        except ApiError as refused:
            raise ValidationError(refused.message) from refused
        return workspace


@admin.register(Endpoint)
class EndpointAdmin(Audited, ByOwners, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """Where a workspace's events go. The actions write down what is changed here."""

    form = EndpointForm
    needs_reason = frozenset()
    list_display = ("name", "workspace", "url", "standing", "told_of", "delivered_at", "created_at")
    list_filter = (("workspace", WorkspaceFilter), "is_enabled")
    list_select_related = ("workspace",)
    search_fields = ("name", "url")
    ordering = ("-created_at",)
    actions = None
    change_form_outer_before_template = "webhooks/endpoint.html"
    list_after_template = "accounts/empty.html"
    empty_hint = (
        "No endpoint here yet. An owner of a workspace adds one: what listens at its URL is told when a batch has ended, and of alerts."
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Endpoint | None = None) -> tuple[str, ...]:  # noqa: ARG002 -- Django's signature
        if obj is None:
            return ()
        return (
            *("workspace", "public_id", "failures", "failing_since", "delivered_at", "switched_off_because"),
            *("previous_secret_until", "created_at"),
        )

    def get_fields(self, request: HttpRequest, obj: Endpoint | None = None) -> tuple[Any, ...]:  # noqa: ARG002 -- Django's signature
        if obj is None:
            return ("workspace", "name", "url", "events")
        return (
            "name", "url", "events", "is_enabled", ("workspace", "public_id"), ("failures", "failing_since"),
            ("delivered_at", "created_at"), ("switched_off_because", "previous_secret_until"),
        )  # fmt: skip

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("<uuid:endpoint_id>/test/", view(require_POST(self.test)), name="webhooks_endpoint_test"),
            path("<uuid:endpoint_id>/rotate/", view(self.rotate), name="webhooks_endpoint_rotate"),
            *super().get_urls(),
        ]

    @display(description="state", label=_STATE_COLOURS)  # type: ignore[untyped-decorator]  # unfold ships no types
    def standing(self, endpoint: Endpoint) -> str:
        if not endpoint.is_enabled:
            return "off"
        return "failing" if endpoint.failing_since else "on"

    @admin.display(description="told of")
    def told_of(self, endpoint: Endpoint) -> str:
        return "all" if len(endpoint.events) == len(EventType) else ", ".join(endpoint.events)

    # --- who may ------------------------------------------------------------------------------------------------

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return obj is not None and self.has_change_permission(request, obj)

    # --- changes ------------------------------------------------------------------------------------------------

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        endpoint = self.get_object(request, object_id)
        context = {"endpoint": endpoint, "may_change": self.has_change_permission(request, endpoint)} if endpoint else {}
        response: HttpResponse = super().change_view(request, object_id, form_url, (extra_context or {}) | context)
        return response

    def save_model(self, request: HttpRequest, obj: Endpoint, form: Any, change: bool) -> None:  # noqa: FBT001 -- Django's signature
        told: dict[str, Any] = {"now": current_time(), "reason": form.cleaned_data["reason"]}
        if change:
            actions.change_endpoint(workspace_id=obj.workspace_id, endpoint_id=obj.pk, changes=form.cleaned_data, **told)
            return
        events = [EventType(event) for event in obj.events]
        made = actions.create_endpoint(workspace_id=obj.workspace_id, name=obj.name, url=obj.url, events=events, **told)
        # The page goes on with the row that the action made.
        obj.pk = made.endpoint.pk
        request.made_secret = made.secret  # type: ignore[attr-defined]  # for the answer to this very request

    def response_add(self, request: HttpRequest, obj: Endpoint, post_url_continue: str | None = None) -> HttpResponse:  # noqa: ARG002 -- Django's signature
        """The secret stands in this one answer: no message, session or address ever holds it."""
        return self._show_secret(request, obj, request.made_secret)  # type: ignore[attr-defined]  # set by save_model

    def delete_model(self, request: HttpRequest, obj: Endpoint) -> None:
        reason = reason_of(request, is_needed=False)
        actions.delete_endpoint(workspace_id=obj.workspace_id, endpoint_id=obj.pk, reason=reason)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[list[str], dict[str, int], set[str], list[str]]:  # noqa: ARG002 -- Django's signature
        """Its deliveries go with it; nobody needs a right of their own for those."""
        return [f"{endpoint}, with its deliveries and their attempts" for endpoint in objs], {"webhook endpoints": len(objs)}, set(), []

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """The action has written it down."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None:
        """The action has written it down."""

    def log_deletions(self, request: HttpRequest, queryset: Any) -> None:
        """The action writes it down."""

    # --- buttons ------------------------------------------------------------------------------------------------

    def test(self, request: HttpRequest, endpoint_id: UUID) -> HttpResponse:
        """Send a test event, and show its delivery."""
        endpoint = get_object_or_404(self.get_queryset(request), pk=endpoint_id)
        page = reverse("admin:webhooks_endpoint_change", args=[endpoint.pk])
        if not self._is_allowed(request, endpoint):
            return HttpResponseRedirect(page)
        try:
            delivery = actions.send_test(workspace_id=endpoint.workspace_id, endpoint_id=endpoint.pk, now=current_time())
        except ApiError as refused:
            messages.error(request, refused.message)
            return HttpResponseRedirect(page)
        messages.success(request, "A test event is on its way. Reload this page to see what came of it.")
        return HttpResponseRedirect(reverse("admin:webhooks_delivery_change", args=[delivery.pk]))

    def rotate(self, request: HttpRequest, endpoint_id: UUID) -> HttpResponse:
        """Ask first, then show the new secret."""
        endpoint = get_object_or_404(self.get_queryset(request), pk=endpoint_id)
        if not self._is_allowed(request, endpoint):
            return HttpResponseRedirect(reverse("admin:webhooks_endpoint_change", args=[endpoint.pk]))
        if request.method != "POST":
            context = self.admin_site.each_context(request) | {"title": "Give it a new secret?", "endpoint": endpoint, "opts": self.opts}
            return TemplateResponse(request, "webhooks/rotate.html", context)
        told: dict[str, Any] = {"now": current_time(), "reason": reason_of(request, is_needed=False)}
        made = actions.rotate_secret(workspace_id=endpoint.workspace_id, endpoint_id=endpoint.pk, **told)
        return self._show_secret(request, endpoint, made.secret)

    def _is_allowed(self, request: HttpRequest, endpoint: Endpoint) -> bool:
        is_allowed = self.has_change_permission(request, endpoint)
        if not is_allowed:
            messages.error(request, "Only owners of its workspace may do this.")
        return is_allowed

    def _show_secret(self, request: HttpRequest, endpoint: Endpoint, secret: str) -> HttpResponse:
        context = self.admin_site.each_context(request) | {
            "title": "Copy the signing secret now", "endpoint": endpoint, "secret": secret, "opts": self.opts,
        }  # fmt: skip
        response = TemplateResponse(request, "webhooks/new_secret.html", context)
        response.headers["Cache-Control"] = "no-store"
        return response
