"""Items: one unit of work, with its request, its answer and every run."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.decorators import display

from apps.accounts.permissions import ByWorkspace, ReadOnly
from apps.conversations.queries.turns import answerable_turns
from apps.jobs.admin.dead import DeadItemPages
from apps.jobs.admin.waiting import WaitingPages
from apps.jobs.models import Item
from apps.jobs.queries.item_record import ItemRecord, read_item_record
from apps.lib.ids import find_uuid
from apps.lib.large_tables import LargeTable, RecentValuesFilter
from apps.traces.queries import find_item_of_run

STATE_COLOURS = {"running": "info", "done": "success", "dead": "danger", "cancelled": "warning", "expired": "warning"}
_SHOWN_CHARACTERS = 20_000


@admin.register(Item)
class ItemAdmin(DeadItemPages, WaitingPages, LargeTable, ReadOnly, ByWorkspace, ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """What was asked, what came back, what it cost, and how it got there."""

    list_display = ("line", "standing", "job_link", "outcome", "http_status", "error_code", "attempts", "tokens", "cost")
    list_filter = ("state", ("lane", RecentValuesFilter), ("outcome", RecentValuesFilter))
    list_select_related = ("job",)
    id_fields = ("pk", "job_id")
    paged_by = ("workspace", "job")
    quick_filters: ClassVar[Mapping[str, frozenset[str]]] = {"state": frozenset({"dead", "waiting", "running"})}
    text_fields = ("custom_id",)
    search_help_text = "The id of an item, a job or a run; or a custom_id."
    change_form_outer_before_template = "jobs/item.html"
    list_before_template = "jobs/items_head.html"
    list_after_template = "accounts/empty.html"
    empty_hint = "Items are the lines of a job: they appear once its file has been validated."
    fields = (
        ("public_id", "job_link"), ("workspace", "lane"), ("custom_id", "position"), ("standing", "ended_at"), ("outcome", "http_status"),
        "answered_by",
        ("error_code", "error_message"), ("attempts", "ambiguous_tries"), ("free_tries", "losses"), ("not_before", "lease_until"),
        ("tokens", "cost"), ("end_user", "feature"), "prompt_version",
    )  # fmt: skip
    readonly_fields = ("public_id", "job_link", "standing", "http_status", "tokens", "cost")

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """Also finds an item by the id of one of its runs."""
        key = find_uuid(search_term)
        item_id = find_item_of_run(key) if key else None
        return (queryset.filter(pk=item_id), False) if item_id else super().get_search_results(request, queryset, search_term)

    @admin.display(description="custom id", ordering="custom_id")
    def line(self, item: Item) -> str:
        return format_html('<span class="whole">{}</span>', item.custom_id)

    @display(description="state", label=STATE_COLOURS)  # type: ignore[untyped-decorator]  # unfold ships no types
    def standing(self, item: Item) -> str:
        return item.state

    @admin.display(description="job")
    def job_link(self, item: Item) -> str:
        page = reverse("admin:jobs_job_change", args=[item.job_id])
        return format_html('<a class="link" href="{}" title="{}">batch_…{}</a>', page, item.job.public_id, item.job_id.hex[-8:])

    @admin.display(description="HTTP", ordering="status_code")
    def http_status(self, item: Item) -> int | None:
        return item.status_code

    @admin.display(description="tokens in / out")
    def tokens(self, item: Item) -> str:
        return format_html('<span class="whole">{} / {}</span>', f"{item.input_tokens:,}", f"{item.output_tokens:,}")

    @admin.display(description="cost", ordering="cost_usd")
    def cost(self, item: Item) -> str:
        return f"${item.cost_usd:.6f}"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        item = self.get_object(request, object_id)
        context = {"record": _shown(read_item_record(item))} if item else {}
        response: HttpResponse = super().change_view(request, object_id, form_url, (extra_context or {}) | context)
        return response


def _messages(request: bytes | None) -> list[dict[str, str]]:
    """What was asked, message by message; empty when it isn't a chat."""
    asked = _decoded(request)
    messages = asked.get("messages") if isinstance(asked, dict) else None
    if not isinstance(messages, list):
        return []
    return [{"role": str(part.get("role", "")), "text": _text(part.get("content"))} for part in messages if isinstance(part, dict)]


def _answer_text(answer: bytes | None) -> str:
    """The first choice's text; empty when there is none to read."""
    told = _decoded(answer)
    choices = told.get("choices") if isinstance(told, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else None
    return _text(message.get("content")) if isinstance(message, dict) else ""


def _text(content: Any) -> str:
    """A message's content: a text, or parts of which some are texts."""
    if isinstance(content, list):
        content = "\n".join(str(part.get("text", f"[{part.get('type', 'part')}]")) for part in content if isinstance(part, dict))
    text = content if isinstance(content, str) else ""
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}\n… cut here; the whole is in the job's files."


def _decoded(content: bytes | None) -> Any:
    with suppress(ValueError, RecursionError):
        return json.loads(content or b"")
    return None


def _shown(record: ItemRecord) -> dict[str, Any]:
    return {
        "request": _pretty(record.request),
        "answer": _pretty(record.answer),
        "messages": _messages(record.request),
        "answer_text": _answer_text(record.answer),
        "runs": [run | {"seconds": (run["ended_at"] - run["claimed_at"]).total_seconds()} for run in record.runs],
        "effects": record.effects,
        "turn": record.turn,
        "has_place": record.turn is not None and answerable_turns(record.turn.item_id).exists(),
        "charges": [charge | {"cost": f"{charge['cost_usd'].normalize():f}"} for charge in record.charges],
    }


def _pretty(content: bytes | None) -> str:
    """JSON with indents; what isn't JSON as it is, and long texts cut."""
    if content is None:
        return ""
    text = content.decode("utf-8", "replace")
    with suppress(ValueError, RecursionError):
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}\n… cut here; the whole is in the job's files."
