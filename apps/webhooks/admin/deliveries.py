"""Deliveries: what was sent where, with every attempt; and once more by hand."""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils.html import format_html
from django.views.decorators.http import require_POST
from unfold.admin import ModelAdmin
from unfold.decorators import display

from apps.accounts.permissions import ByWorkspace, ReadOnly, WorkspaceFilter, reason_of
from apps.lib.clock import current_time
from apps.lib.http_errors import ApiError
from apps.lib.large_tables import LargeTable
from apps.webhooks.actions import send_again
from apps.webhooks.models import Delivery, DeliveryState

_STATE_COLOURS = {"waiting": "info", "sending": "info", "delivered": "success", "failed": "danger", "cancelled": "warning"}


@admin.register(Delivery)
class DeliveryAdmin(LargeTable, ReadOnly, ByWorkspace, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """Events on their way to endpoints. Kept for 30 days."""

    workspace_path = "endpoint__workspace"
    list_display = ("public_id", "told", "standing", "to", "workspace", "attempts_made", "last_status", "last_error", "next_try")
    list_filter = ("state", ("endpoint__workspace", WorkspaceFilter))
    list_select_related = ("endpoint__workspace", "event")
    id_fields = ("pk", "event_id", "endpoint_id", "event__subject_id")
    search_help_text = "The id of a delivery, an event, an endpoint, or of the batch that it tells of."
    change_form_outer_before_template = "webhooks/delivery.html"
    list_after_template = "accounts/empty.html"
    empty_hint = "Deliveries appear when a batch ends in a workspace that has a webhook endpoint, or when somebody sends a test event."
    fields = (
        ("public_id", "told"), ("to", "workspace"), ("standing", "next_try"), ("attempts_made", "last_status"), "last_error",
        ("created_at", "ended_at"), "body",
    )  # fmt: skip
    readonly_fields = ("public_id", "told", "to", "workspace", "standing", "next_try", "body")

    def get_urls(self) -> list[Any]:
        again = self.admin_site.admin_view(require_POST(self.again))
        return [path("<uuid:delivery_id>/again/", again, name="webhooks_delivery_again"), *super().get_urls()]

    @admin.display(description="event")
    def told(self, delivery: Delivery) -> str:
        return delivery.event.type

    @display(description="state", label=_STATE_COLOURS)  # type: ignore[untyped-decorator]  # unfold ships no types
    def standing(self, delivery: Delivery) -> str:
        return delivery.state

    @admin.display(description="endpoint")
    def to(self, delivery: Delivery) -> str:
        page = reverse("admin:webhooks_endpoint_change", args=[delivery.endpoint_id])
        return format_html('<a class="link" href="{}">{}</a>', page, delivery.endpoint)

    @admin.display(description="workspace")
    def workspace(self, delivery: Delivery) -> str:
        return str(delivery.endpoint.workspace)

    @admin.display(description="next try")
    def next_try(self, delivery: Delivery) -> str:
        return f"{delivery.due_at:%Y-%m-%d %H:%M:%S} UTC" if delivery.state == DeliveryState.WAITING else ""

    @admin.display(description="payload")
    def body(self, delivery: Delivery) -> str:
        return format_html('<pre class="body">{}</pre>', delivery.event.payload)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        delivery = self.get_object(request, object_id)
        context: dict[str, Any] = {}
        if delivery:
            may_send = ByWorkspace.has_change_permission(self, request, delivery) and delivery.state != DeliveryState.SENDING
            context = {"delivery": delivery, "may_send": may_send, "attempts": delivery.attempts.order_by("number", "id")}
        response: HttpResponse = super().change_view(request, object_id, form_url, (extra_context or {}) | context)
        return response

    def again(self, request: HttpRequest, delivery_id: UUID) -> HttpResponse:
        """Send it once more. Members of the workspace may."""
        delivery = get_object_or_404(self.get_queryset(request), pk=delivery_id)
        page = HttpResponseRedirect(reverse("admin:webhooks_delivery_change", args=[delivery.pk]))
        if not ByWorkspace.has_change_permission(self, request, delivery):
            messages.error(request, "Your role in this workspace only lets you look.")
            return page
        try:
            send_again(
                workspace_id=delivery.endpoint.workspace_id,
                delivery_id=delivery.pk,
                now=current_time(),
                reason=reason_of(request, is_needed=False),
            )
        except ApiError as refused:
            messages.error(request, refused.message)
            return page
        messages.success(request, "It is on its way again, under the same id. Reload this page to see what came of it.")
        return page
