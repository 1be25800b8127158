"""Make what a profile keeps anew from its events, and say whether it was something else."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.conversations.actions.change_memory import lock_profile, record_memory_change
from apps.conversations.domain.memory import as_json, find_breaks, find_differences, fold, start_hash
from apps.conversations.models import Profile
from apps.conversations.queries.memory import read_events


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """`differences`: the keys under which something else was kept. `breaks`: what was wrong with the chain of events, in words.

    No rebuilding brings back an event that was changed or is gone.
    """

    profile: Profile
    events: int
    differences: Sequence[str]
    breaks: Sequence[str]


@transaction.atomic
def rebuild_memory(*, profile_id: UUID, now: datetime, reason: str = "") -> Rebuilt:
    """Changes nothing where all agree. ApiError 404 when the profile is gone."""
    profile = lock_profile(profile_id)
    events = list(read_events(profile.id))
    folded = fold(events)
    differences = find_differences(profile.memory, folded)
    start = start_hash(profile.id)
    breaks = list(find_breaks(events, start=start, seq=profile.seq, tip_hash=bytes(profile.tip_hash)))
    seq, tip_hash = (events[-1].seq, events[-1].hash) if events else (0, start)
    if differences or (profile.seq, bytes(profile.tip_hash)) != (seq, tip_hash):
        before = {"event": profile.seq, "wrong": len(differences)}
        profile.memory, profile.seq, profile.tip_hash, profile.updated_at = as_json(folded), seq, tip_hash, now
        profile.save(update_fields=["memory", "seq", "tip_hash", "updated_at"])
        record_memory_change(profile, "rebuilt", before=before, after={"event": seq, "wrong": 0}, reason=reason)
    return Rebuilt(profile, len(events), differences, breaks)
