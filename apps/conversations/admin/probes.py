"""Do conversations and memory agree with themselves? What the looks of the beat found, and how conflicts were resolved."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.admin import ModelAdmin

from apps.accounts.permissions import ForSuperusers, ReadOnly
from apps.conversations.domain.turn_chain import KINDS, LEFT_OPEN
from apps.conversations.models import Probe
from apps.conversations.queries.consistency import count_resolutions, read_newest_probe
from apps.lib.clock import current_time

_BACK = timedelta(days=7)
_SHOWN = 50


@admin.register(Probe)
class ProbeAdmin(ReadOnly, ForSuperusers, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """The newest first; each is a row that a look left."""

    list_before_template = "conversations/consistency.html"
    list_after_template = "accounts/empty.html"
    empty_hint = "A look is taken every five minutes; the button above takes one now."
    list_display = ("checked_at", "is_whole", "found", "conversations", "turns", "profiles", "events", "retrievals", "open_turns", "took")
    list_filter = ("is_whole",)
    ordering = ("-checked_at",)
    change_form_outer_before_template = "conversations/findings.html"
    fields = (
        ("checked_at", "took"),
        ("conversations", "turns"),
        ("profiles", "events"),
        ("retrievals", "open_turns"),
        ("pins_won", "pins_lost"),
        ("pins_read", "rejected"),
        "is_whole",
    )
    readonly_fields = ("took",)

    @admin.display(description="findings")
    def found(self, probe: Probe) -> int:
        return len(probe.findings)

    @admin.display(description="took")
    def took(self, probe: Probe) -> str:
        return f"{probe.seconds:.2f} s"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        context: dict[str, Any] = {}
        if self.has_view_permission(request):
            newest = read_newest_probe()
            context = _findings(newest) | {
                "newest": newest,
                "kinds": {kind: sum(one["kind"] == kind for one in newest.findings) for kind in KINDS} if newest else {},
                "late": sum(one["kind"] == LEFT_OPEN for one in newest.findings) if newest else 0,
                "resolutions": count_resolutions(since=current_time() - _BACK),
            }
        response: HttpResponse = super().changelist_view(request, (extra_context or {}) | context)
        return response

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = _findings(self.get_object(request, object_id)) if self.has_view_permission(request) else {}
        response: HttpResponse = super().change_view(request, object_id, form_url, (extra_context or {}) | context)
        return response


def _findings(probe: Probe | None) -> dict[str, Any]:
    return {"findings": list(_linked(probe.findings[:_SHOWN])), "findings_more": max(0, len(probe.findings) - _SHOWN)} if probe else {}


def _linked(findings: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each with the page of what it is about."""
    for one in findings:
        yield one | {"page": reverse(f"admin:conversations_{one['on']}_change", args=[one["id"]])}
