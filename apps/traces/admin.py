"""Runs and their exchanges in the back office; bodies are shown where they belong, not by themselves."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from apps.accounts.permissions import ByWorkspace, ReadOnly
from apps.traces.models import Exchange, Run
from apps.traces.queries import read_bodies

_SHOWN_CHARACTERS = 20_000


@admin.register(Run)
class RunAdmin(ReadOnly, ByWorkspace, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """Attempts at items."""

    list_display = ("id", "workspace", "outcome", "decision", "error_code", "attempt", "claimed_at", "ended_at")
    list_filter = ("outcome", "decision")
    list_select_related = ("workspace",)
    search_fields = ("id", "item_id", "job_id")
    show_full_result_count = False
    ordering = ("-id",)


@admin.register(Exchange)
class ExchangeAdmin(ReadOnly, ByWorkspace, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """HTTP requests to providers."""

    list_display = ("sent_at", "workspace", "upstream_model", "outcome", "status_code", "duration_seconds", "provider_request_id")
    list_filter = ("outcome", "upstream_model")
    list_select_related = ("workspace",)
    search_fields = ("run_id", "provider_request_id")
    show_full_result_count = False
    ordering = ("-id",)
    readonly_fields = ("answer",)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [name for name in super().get_fields(request, obj) if name != "answer_body_id"]

    @admin.display(description="answer, as it came")
    def answer(self, exchange: Exchange) -> SafeString | str:
        if exchange.answer_body_id is None:
            return "none"
        content = read_bodies([bytes(exchange.answer_body_id)]).get(bytes(exchange.answer_body_id))
        if content is None:
            return "expired"
        return format_html('<pre class="body">{}</pre>', content.decode("utf-8", "replace")[:_SHOWN_CHARACTERS])
