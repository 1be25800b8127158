"""Of dead items that were to make vectors: which are still needed, and of what. Nobody pays again for what something else asks for."""

from collections.abc import Collection, Sequence
from uuid import UUID

import orjson

from apps.jobs.actions.index_documents import COMING
from apps.jobs.actions.replace_requests import replace_requests
from apps.jobs.models import Item
from apps.knowledge import actions as knowledge
from apps.lib.advisory_lock import hold_until_commit
from apps.traces.queries import read_bodies

# A request holds up to 64 texts.
_BODIES_AT_ONCE = 100


def find_needed(item_ids: Collection[UUID]) -> dict[UUID, set[str]]:
    """By item the texts that documents miss and no item that waits, runs or has answered asks for; items without any are left out."""
    missing = knowledge.list_missing(item_ids)
    others = {other for one in missing for other in one.others}
    coming = set(Item.objects.filter(id__in=others, state__in=COMING).values_list("id", flat=True))
    needed: dict[UUID, set[str]] = {}
    for one in missing:
        if coming.isdisjoint(one.others):
            needed.setdefault(one.item_id, set()).add(one.text)
    return needed


def narrow_index(item_ids: Sequence[UUID]) -> list[UUID]:
    """Those that are needed, each asking for no more than that. Inside the transaction that has them wait anew.

    Until it ends nobody asks for texts of the same embedder, and what is just being asked for is waited for.
    """
    hold_until_commit(wanted.key for wanted in knowledge.list_askers(item_ids))
    needed = find_needed(item_ids)
    kept = [item_id for item_id in item_ids if item_id in needed]
    for start in range(0, len(kept), _BODIES_AT_ONCE):
        _narrow(kept[start : start + _BODIES_AT_ONCE], needed)
    knowledge.tell_asked_again(kept)
    return kept


def _narrow(item_ids: Sequence[UUID], needed: dict[UUID, set[str]]) -> None:
    rows = list(Item.objects.filter(id__in=item_ids).values_list("id", "workspace_id", "request_body_id"))
    contents = read_bodies([bytes(body_id) for _, _, body_id in rows])
    narrowed = []
    for item_id, workspace_id, body_id in rows:
        body = orjson.loads(contents[bytes(body_id)])
        texts = [text for text in body["input"] if text in needed[item_id]]
        if len(texts) < len(body["input"]):
            narrowed.append((item_id, workspace_id, orjson.dumps(body | {"input": texts})))
    replace_requests(narrowed)
