"""Runs and their exchanges in the back office; bodies are shown where they belong, not by themselves."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.decorators import display

from apps.accounts.permissions import ByWorkspace, ReadOnly
from apps.lib.html_parts import id_link, pairs_table, seconds, short_id
from apps.lib.large_tables import LargeTable, RecentValuesFilter
from apps.traces.models import Exchange, Run
from apps.traces.queries import list_effects, list_exchanges, read_bodies

_SHOWN_CHARACTERS = 20_000
RUN_PREFIX = "run_"
OUTCOME_COLOURS = {
    "ok": "success", "throttled": "warning", "not_sent": "warning", "credential": "danger", "rejected": "danger",
    "failed_upstream": "danger", "ambiguous": "danger",
}  # fmt: skip


@admin.register(Run)
class RunAdmin(LargeTable, ReadOnly, ByWorkspace, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """Attempts at items."""

    list_after_template = "accounts/empty.html"
    empty_hint = "Each attempt at an item leaves a run here. Submit a job first."
    list_display = ("claimed_at", "short", "workspace", "standing", "decision", "error_code", "attempt", "took")
    list_filter = (("outcome", RecentValuesFilter), ("decision", RecentValuesFilter))
    list_select_related = ("workspace",)
    id_fields = ("pk", "item_id")
    search_help_text = "The id of a run or of an item."
    change_form_outer_before_template = "traces/run.html"
    fields = (
        ("run", "workspace"), ("job", "item"), ("outcome", "decision"), ("error_code", "error_message"), ("claimed_at", "ended_at"),
        ("attempt", "took"), "pump_id",
    )  # fmt: skip
    readonly_fields = ("run", "job", "item", "took")

    @admin.display(description="run")
    def short(self, run: Run) -> str:
        return short_id(RUN_PREFIX, run.pk)

    @admin.display(description="id")
    def run(self, run: Run) -> str:
        return f"{RUN_PREFIX}{run.pk.hex}"

    @admin.display(description="job")
    def job(self, run: Run) -> str:
        return id_link("jobs_job", "batch_", run.job_id)

    @admin.display(description="item")
    def item(self, run: Run) -> str:
        return id_link("jobs_item", "item_", run.item_id)

    @display(description="outcome", label=OUTCOME_COLOURS)  # type: ignore[untyped-decorator]  # unfold ships no types
    def standing(self, run: Run) -> str:
        return run.outcome

    @admin.display(description="took")
    def took(self, run: Run) -> str:
        return seconds((run.ended_at - run.claimed_at).total_seconds())

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        run = self.get_object(request, object_id)
        context = {} if run is None else _context(run)
        response: HttpResponse = super().change_view(request, object_id, form_url, (extra_context or {}) | context)
        return response


def _context(run: Run) -> dict[str, Any]:
    effects = [effect for effect in list_effects(item_id=run.item_id) if effect["run_id"] == run.pk]
    return {"exchanges": list_exchanges(run_ids=[run.pk]), "effects": effects, "item_id": run.item_id}


@admin.register(Exchange)
class ExchangeAdmin(LargeTable, ReadOnly, ByWorkspace, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """HTTP requests to providers."""

    list_after_template = "accounts/empty.html"
    empty_hint = "Each request to a provider leaves a row here. Submit a job first."
    list_display = ("sent_at", "workspace", "upstream_model", "standing", "status_code", "took", "provider_request_id")
    list_filter = (("outcome", RecentValuesFilter), ("upstream_model", RecentValuesFilter))
    list_select_related = ("workspace",)
    id_fields = ("pk", "run_id")
    text_fields = ("provider_request_id",)
    search_help_text = "The id of an exchange or of a run, or the id that the provider gave the request."
    fields = (
        ("run", "workspace"), ("upstream_model", "path"), ("outcome", "status_code"), "error", ("sent_at", "provider_request_id"),
        ("first_byte", "took"), "told", "answer", ("provider_id", "target_id"),
    )  # fmt: skip
    readonly_fields = ("run", "first_byte", "took", "told", "answer")

    @admin.display(description="run")
    def run(self, exchange: Exchange) -> str:
        return id_link("traces_run", RUN_PREFIX, exchange.run_id)

    @display(description="outcome", label=OUTCOME_COLOURS)  # type: ignore[untyped-decorator]  # unfold ships no types
    def standing(self, exchange: Exchange) -> str:
        return exchange.outcome

    @admin.display(description="first byte after")
    def first_byte(self, exchange: Exchange) -> str:
        return seconds(exchange.first_byte_seconds)

    @admin.display(description="took", ordering="duration_seconds")
    def took(self, exchange: Exchange) -> str:
        return seconds(exchange.duration_seconds)

    @admin.display(description="limits it told")
    def told(self, exchange: Exchange) -> str:
        return pairs_table(exchange.headers)

    @admin.display(description="answer, as it came")
    def answer(self, exchange: Exchange) -> SafeString | str:
        if exchange.answer_body_id is None:
            return "none"
        content = read_bodies([bytes(exchange.answer_body_id)]).get(bytes(exchange.answer_body_id))
        if content is None:
            return "expired"
        return format_html('<pre class="body">{}</pre>', content.decode("utf-8", "replace")[:_SHOWN_CHARACTERS])
