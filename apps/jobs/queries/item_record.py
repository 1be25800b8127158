"""The whole record of one item: what was asked and answered, in which attempts, with which tools, at what cost."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from apps.conversations.queries.turns import find_turn_of_item
from apps.jobs.models import Item
from apps.spend.queries import list_charges
from apps.traces.queries import list_effects, list_runs, read_bodies

if TYPE_CHECKING:
    from apps.conversations.models import Turn


@dataclass(frozen=True, slots=True)
class ItemRecord:
    """Everything that is known of an item: bodies as bytes (None when expired), runs with their exchanges, charges, effects of tools.

    `turn`: that of a conversation, when it asks one.
    """

    request: bytes | None
    answer: bytes | None
    runs: list[dict[str, Any]]
    charges: list[dict[str, Any]]
    effects: list[dict[str, Any]]
    turn: "Turn | None"


def read_item_record(item: Item) -> ItemRecord:
    """The record of one item, for its page."""
    ids = [bytes(body_id) for body_id in (item.request_body_id, item.answer_body_id) if body_id is not None]
    bodies = read_bodies(ids)
    return ItemRecord(
        request=bodies.get(ids[0]),
        answer=bodies.get(ids[1]) if len(ids) > 1 else None,
        runs=list_runs(item_id=item.id),
        charges=list_charges(item_id=item.id),
        effects=list_effects(item_id=item.id),
        turn=find_turn_of_item(item.id) if item.job.kind == "single" else None,
    )
