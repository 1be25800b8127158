"""Alerts: what a person should look at, and who has taken it on."""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin import SimpleListFilter
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST
from unfold.admin import ModelAdmin
from unfold.decorators import display

from apps.accounts.permissions import ByWorkspace, ReadOnly, WorkspaceFilter, reason_of
from apps.lib.large_tables import LargeTable, RecentValuesFilter
from apps.webhooks.actions import acknowledge_alert
from apps.webhooks.models import Alert

_STATE_COLOURS = {"open": "danger", "acknowledged": "warning", "resolved": "success"}
_SEVERITY_COLOURS = {"info": "info", "warning": "warning", "critical": "danger"}


class StateFilter(SimpleListFilter):
    """What still holds, what nobody has taken on, what is over."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 -- Django's signature
        return [("open", "Open"), ("acknowledged", "Acknowledged"), ("resolved", "Resolved")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:  # noqa: ARG002 -- Django's signature
        match self.value():
            case "open":
                return queryset.filter(resolved_at=None, acknowledged_at=None)
            case "acknowledged":
                return queryset.filter(resolved_at=None).exclude(acknowledged_at=None)
            case "resolved":
                return queryset.exclude(resolved_at=None)
            case _:
                return queryset


@admin.register(Alert)
class AlertAdmin(LargeTable, ReadOnly, ByWorkspace, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """What should be looked at, newest first. Those that concern the whole platform are shown to superusers alone."""

    list_display = ("told", "severity_shown", "standing", "whose", "kind", "first_seen_at", "last_seen_at", "count")
    list_display_links = ("told",)
    list_filter = (StateFilter, "severity", ("kind", RecentValuesFilter), ("workspace", WorkspaceFilter))
    list_select_related = ("workspace",)
    scanned_fields = ("fingerprint",)
    search_help_text = "The id of an alert, or its fingerprint."
    change_form_outer_before_template = "webhooks/alert.html"
    list_after_template = "accounts/empty.html"
    empty_hint = "Alerts appear when something needs a person: many items die, a budget runs out, a provider stays down, nothing works."
    fields = (
        "told", "what_to_do", ("severity_shown", "standing"), ("whose", "kind"), ("first_seen_at", "last_seen_at"),
        ("count", "resolved_at"), ("acknowledged_at", "acknowledged_by"), ("public_id", "fingerprint"), "data",
    )  # fmt: skip
    readonly_fields = ("told", "what_to_do", "severity_shown", "standing", "whose", "public_id")

    def get_urls(self) -> list[Any]:
        acknowledge = self.admin_site.admin_view(require_POST(self.acknowledge))
        return [path("<uuid:alert_id>/acknowledge/", acknowledge, name="webhooks_alert_acknowledge"), *super().get_urls()]

    @admin.display(description="what")
    def told(self, alert: Alert) -> str:
        return alert.title

    @admin.display(description="what to do")
    def what_to_do(self, alert: Alert) -> str:
        return format_html('<span class="lines">{}</span>', alert.text)

    @display(description="severity", label=_SEVERITY_COLOURS)  # type: ignore[untyped-decorator]  # unfold ships no types
    def severity_shown(self, alert: Alert) -> str:
        return alert.severity

    @display(description="state", label=_STATE_COLOURS)  # type: ignore[untyped-decorator]  # unfold ships no types
    def standing(self, alert: Alert) -> str:
        return alert.state

    @admin.display(description="workspace")
    def whose(self, alert: Alert) -> str:
        return str(alert.workspace or "the whole platform")

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        alert = self.get_object(request, object_id)
        context: dict[str, Any] = {}
        if alert:
            may_acknowledge = alert.state == "open" and ByWorkspace.has_change_permission(self, request, alert)
            context = {"alert": alert, "may_acknowledge": may_acknowledge}
        response: HttpResponse = super().change_view(request, object_id, form_url, (extra_context or {}) | context)
        return response

    def acknowledge(self, request: HttpRequest, alert_id: UUID) -> HttpResponse:
        """Somebody has taken it on. Members of its workspace may; superusers, when it is the platform's."""
        alert = get_object_or_404(self.get_queryset(request), pk=alert_id)
        back = request.POST.get("next", "")
        if not url_has_allowed_host_and_scheme(back, allowed_hosts=None):
            back = reverse("admin:webhooks_alert_change", args=[alert.pk])
        if not ByWorkspace.has_change_permission(self, request, alert):
            messages.error(request, "Your role in this workspace only lets you look.")
            return HttpResponseRedirect(back)
        acknowledge_alert(alert_id=alert.pk, now=timezone.now(), reason=reason_of(request, is_needed=False))
        messages.success(request, "Acknowledged: it is yours now. It stays in the list of alerts until what it told of is over.")
        return HttpResponseRedirect(back)
