"""Runs and their exchanges in the back office; bodies are shown where they belong, not by themselves."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

from apps.accounts.permissions import ByWorkspace, ReadOnly
from apps.lib.large_tables import LargeTable, RecentValuesFilter
from apps.traces.models import Exchange, Run
from apps.traces.queries import list_exchanges, read_bodies

_SHOWN_CHARACTERS = 20_000


@admin.register(Run)
class RunAdmin(LargeTable, ReadOnly, ByWorkspace, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """Attempts at items."""

    list_after_template = "accounts/empty.html"
    empty_hint = "Each attempt at an item leaves a run here. Submit a job first."
    list_display = ("id", "workspace", "outcome", "decision", "error_code", "attempt", "claimed_at", "ended_at")
    list_filter = (("outcome", RecentValuesFilter), ("decision", RecentValuesFilter))
    list_select_related = ("workspace",)
    id_fields = ("pk", "item_id")
    search_help_text = "The id of a run or of an item."
    change_form_outer_before_template = "traces/run.html"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        run = self.get_object(request, object_id)
        context = {"exchanges": list_exchanges(run_ids=[run.pk]), "item_id": run.item_id} if run else {}
        response: HttpResponse = super().change_view(request, object_id, form_url, (extra_context or {}) | context)
        return response


@admin.register(Exchange)
class ExchangeAdmin(LargeTable, ReadOnly, ByWorkspace, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """HTTP requests to providers."""

    list_after_template = "accounts/empty.html"
    empty_hint = "Each request to a provider leaves a row here. Submit a job first."
    list_display = ("sent_at", "workspace", "upstream_model", "outcome", "status_code", "duration_seconds", "provider_request_id")
    list_filter = (("outcome", RecentValuesFilter), ("upstream_model", RecentValuesFilter))
    list_select_related = ("workspace",)
    id_fields = ("pk", "run_id")
    text_fields = ("provider_request_id",)
    search_help_text = "The id of an exchange or of a run, or the id that the provider gave the request."
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
