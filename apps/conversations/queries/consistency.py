"""Look whether what is kept of conversations and memory agrees with itself: some at a time, without holding anybody up.

What looks wrong is looked at again under the lock that its writers take: a change between two reads is no finding.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count

from apps.conversations.domain.memory import find_breaks, find_differences, fold, start_hash
from apps.conversations.domain.state import first_hash
from apps.conversations.domain.turn_chain import Retrieval, SaidAndHashed, find_turn_breaks
from apps.conversations.models import Conversation, Probe, Profile, Turn, TurnState
from apps.conversations.queries.memory import read_events

_MOST_TURNS = 500
_MOST_OPEN = 1000
_TABLES = {"conversation": Conversation, "profile": Profile}


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at one conversation or profile came to. `parts`: how many turns or events were read."""

    workspace_id: UUID
    parts: int
    breaks: Sequence[str]


def sample_ids(on: str, *, newest: int, older: int, chance: float) -> list[UUID]:
    """Of conversations or profiles (`on`): the newest, and some from a place by chance (0 to 1) among all, by time."""
    table: Any = _TABLES[on]
    ids = list(table.objects.order_by("-id").values_list("id", flat=True)[:newest])
    oldest = table.objects.order_by("id").values_list("id", flat=True).first()
    if older and ids and oldest:
        place = UUID(int=oldest.int + int((ids[0].int - oldest.int) * chance))
        ids += list(table.objects.filter(id__gte=place).order_by("id").values_list("id", flat=True)[:older])
    return list(dict.fromkeys(ids))


def look_at_conversation(key: UUID) -> Looked | None:
    """Its turns' hashes, chain and number: of the newest 500. None when it is gone."""
    return _twice(Conversation, key, _read_conversation)


def look_at_profile(key: UUID) -> Looked | None:
    """Whether what it keeps is what its events come to, and their chain whole. None when it is gone."""
    return _twice(Profile, key, _read_profile)


def _twice(table: Any, key: UUID, look: Callable[[Any], Looked]) -> Looked | None:
    row = table.objects.filter(id=key).first()
    if row is None or not (found := look(row)).breaks:
        return None if row is None else found
    with transaction.atomic():
        row = table.objects.select_for_update().filter(id=key).first()
        return None if row is None else look(row)


def _read_conversation(conversation: Conversation) -> Looked:
    rows = list(conversation.turns.filter(state=TurnState.ANSWERED).order_by("-number", "-id")[: _MOST_TURNS + 1])[::-1]
    after, tip = 0, first_hash(conversation.root_id)
    if len(rows) > _MOST_TURNS:
        after, tip = rows[0].number, bytes(rows[0].hash or b"")
        rows = rows[1:]
    turns = [_said(row) for row in rows]
    stands: dict[str, Any] = {"version": conversation.version, "tip_hash": bytes(conversation.tip_hash)}
    breaks = list(find_turn_breaks(turns, after=after, tip=tip, **stands))
    return Looked(conversation.workspace_id, len(turns), breaks)


def _said(row: Turn) -> SaidAndHashed:
    return SaidAndHashed(
        number=row.number,
        input=row.input,
        messages=row.messages,
        answer=row.answer,
        tool_calls=row.tool_calls,
        previous_hash=bytes(row.previous_hash),
        hash=bytes(row.hash or b""),
    )


def _read_profile(profile: Profile) -> Looked:
    events = list(read_events(profile.id))
    breaks = list(find_breaks(events, start=start_hash(profile.id), seq=profile.seq, tip_hash=bytes(profile.tip_hash)))
    if wrong := find_differences(profile.memory, fold(events)):
        # Keys tell of people, too.
        breaks.append(f"under {len(wrong)} key{'' if len(wrong) == 1 else 's'} something else is kept than the events say")
    return Looked(profile.workspace_id, len(events), breaks)


def read_retrievals(*, conversation_ids: Collection[UUID], newest: int) -> list[Retrieval]:
    """What the turns of these conversations were answered from, and the newest turns of all."""
    rows = Turn.objects.exclude(query_key="").order_by("-id")
    of_these = rows.filter(conversation_id__in=conversation_ids)[: _MOST_TURNS * 10]
    found = {row.id: row for row in (*rows[:newest], *of_these)}
    return [
        Retrieval(
            turn_id=row.id,
            workspace_id=row.workspace_id,
            conversation_id=row.conversation_id,
            version=row.number - 1,
            previous_hash=bytes(row.previous_hash),
            query_key=row.query_key,
            snapshot_id=row.snapshot_id,
        )
        for row in found.values()
    ]


def list_open_turns(*, before: datetime) -> list[Turn]:
    """Those that were begun before and are still open, oldest first."""
    return list(Turn.objects.filter(state=TurnState.OPEN, created_at__lt=before).order_by("id")[:_MOST_OPEN])


def read_newest_probe() -> Probe | None:
    """The last look."""
    return Probe.objects.order_by("-checked_at").first()


def list_found(on: str) -> list[UUID]:
    """The conversations or profiles that the last look found something of."""
    newest = read_newest_probe()
    return [UUID(one["id"]) for one in newest.findings if one["on"] == on] if newest else []


def count_resolutions(*, since: datetime) -> dict[str, int]:
    """How often turns waited, moved to a newer state or forked, among all turns begun since then; `turns`: how many these are."""
    rows = Turn.objects.filter(created_at__gte=since, copied_from_id=None)
    counts = dict(rows.values_list("resolution").annotate(number=Count("id")).order_by())
    return {name: counts.get(name, 0) for name in ("waited", "moved", "forked")} | {"turns": sum(counts.values())}
