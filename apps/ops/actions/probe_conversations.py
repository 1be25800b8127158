"""Probe conversations: one state has one context, what was said is what was kept, memory is its events. By beat, some at a time.

What the last look found is looked at again, so that a finding stands until it is mended; then the newest, and some older by chance.
"""

import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import redis
import structlog

from apps.conversations.actions import record_probe
from apps.conversations.domain.turn_chain import CHAIN, CONTEXT, LEFT_OPEN, MEMORY, find_mixed
from apps.conversations.queries.consistency import (
    Looked,
    list_found,
    list_open_turns,
    look_at_conversation,
    look_at_profile,
    read_retrievals,
    sample_ids,
)
from apps.jobs.queries import read_counters
from apps.jobs.queries.open_items import find_open_items
from apps.knowledge.queries import find_pinned_ids, read_pin_counts

log = structlog.get_logger(__name__)

_NEWEST = 100
_OLDER = 100
_RETRIEVALS = 2_000
_MOST_FINDINGS = 200
_LATE = timedelta(minutes=1)
_MOST_COUNTED = 1e15
# From the begin of the look until no further conversation, and no further profile, is taken up.
_CONVERSATIONS_SECONDS, _PROFILES_SECONDS = 10.0, 20.0


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that doesn't agree. `on` is `conversation` or `profile`; the text holds nothing that anybody said."""

    kind: str
    workspace: str
    on: str
    id: str
    text: str


def probe_conversations(*, now: datetime, chance: float | None = None) -> dict[str, Any]:
    """What was found, in short. It takes at most about twenty seconds, whatever there is. `chance` (0 to 1): where among the older."""
    began = time.monotonic()
    chance = random.random() if chance is None else chance  # noqa: S311 -- which are looked at, no secret
    conversations = _chosen("conversation", chance)
    counts: dict[str, int] = {}
    findings: list[Finding] = []
    for kind, on, keys, look, seconds, names in (
        (CHAIN, "conversation", conversations, look_at_conversation, _CONVERSATIONS_SECONDS, ("conversations", "turns")),
        (MEMORY, "profile", _chosen("profile", chance), look_at_profile, _PROFILES_SECONDS, ("profiles", "events")),
    ):
        looked = [(key, found) for key, found in _look(keys, look, until=began + seconds) if found]
        counts |= {names[0]: len(looked), names[1]: sum(found.parts for _, found in looked)}
        findings += [Finding(kind, str(found.workspace_id), on, str(key), text) for key, found in looked for text in found.breaks[:3]]
    retrievals = read_retrievals(conversation_ids=conversations, newest=_RETRIEVALS)
    findings += [
        Finding(CONTEXT, str(one.workspace_id), "conversation", str(one.conversation_id), text)
        for one, text in find_mixed(retrievals, find_pinned_ids({one.pin for one in retrievals}))
    ]
    left_open, open_turns = _left_open(now)
    counts |= {"retrievals": len(retrievals), "open_turns": open_turns}
    counts |= _running_counters()
    told = [asdict(one) for one in (findings + left_open)[:_MOST_FINDINGS]]
    record_probe(counts=counts, findings=told, checked_at=now, seconds=time.monotonic() - began)
    return counts | {"findings": len(findings) + len(left_open)}


def _running_counters() -> dict[str, int]:
    """Nothing where Redis is away; whatever it says, numbers that a column takes."""
    try:
        pins, counters = read_pin_counts(), read_counters()
    except redis.RedisError as error:
        log.warning("counters_not_read", error=str(error))
        return {}
    told = {f"pins_{how}": pins.get(how, 0.0) for how in ("won", "lost", "read")} | {"rejected": counters.get("turn:rejected", 0.0)}
    return {name: int(min(max(number, 0.0), _MOST_COUNTED)) for name, number in told.items()}


def _chosen(on: str, chance: float) -> list[UUID]:
    return list(dict.fromkeys([*list_found(on), *sample_ids(on, newest=_NEWEST, older=_OLDER, chance=chance)]))


def _look(keys: Iterable[UUID], look: Callable[[UUID], Looked | None], *, until: float) -> Iterator[tuple[UUID, Looked | None]]:
    for key in keys:
        if time.monotonic() > until:
            return
        yield key, look(key)


def _left_open(now: datetime) -> tuple[list[Finding], int]:
    """Open turns whose items have ended for a minute, or are gone; and how many are open."""
    turns = list_open_turns(before=now - _LATE)
    under_way = find_open_items([turn.item_id for turn in turns], ended_after=now - _LATE)
    late = [turn for turn in turns if turn.item_id not in under_way]
    text = "turn {} is open, though its item has ended for more than a minute"
    found = [
        Finding(LEFT_OPEN, str(turn.workspace_id), "conversation", str(turn.conversation_id), text.format(turn.number)) for turn in late
    ]
    return found, len(turns)
