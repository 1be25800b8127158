"""Change what is remembered of a person: the event and what it comes to, in one transaction."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.accounts.actions import record_audit
from apps.conversations.domain.memory import (
    LONGEST_WHY,
    Change,
    Event,
    Kind,
    MemoryRefusedError,
    Source,
    apply,
    as_json,
    check_change,
    read_things,
)
from apps.conversations.models import MemoryEvent, Profile
from apps.conversations.queries.memory import events_of, no_such_profile
from apps.lib.http_errors import GIVE_UP, ApiError

MEMORY_CHANGED = "memory_changed"
_STATUSES = {"not_found": 404, "too_many_things": 409}


@dataclass(frozen=True, slots=True)
class Origin:
    """Who has it remembered, and why. `once_key`: the same change under the same key is one event, however often it is asked for."""

    source: Source
    user_id: UUID | None = None
    api_key_id: UUID | None = None
    item_id: UUID | None = None
    once_key: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Changed:
    """`event` is the change as it stands in the log; None: it was so already, and nothing was written. `is_new`: it was written now."""

    profile: Profile
    event: MemoryEvent | None
    is_new: bool


@transaction.atomic
def change_memory(*, profile_id: UUID, change: Change, origin: Origin, expected_seq: int | None = None, now: datetime) -> Changed:
    """Remember or forget one thing. Setting what is remembered word for word writes nothing, unless it has a `once_key`.

    ApiError 404 when the person, or what is to be forgotten, is gone; 400 for a key or a text that can't be kept; 409 `memory_changed`
    when `expected_seq` isn't the last event any more, `too_many_things`; 422 when `origin.once_key` was used for another change.
    """
    profile = lock_profile(profile_id)
    if known := _known(profile, change, origin):
        return Changed(profile, known, is_new=False)
    if expected_seq is not None and expected_seq != profile.seq:
        message = f"Memory has changed: its last event is {profile.seq}, not {expected_seq}. Read it again, and say what holds now."
        raise ApiError(409, MEMORY_CHANGED, message, param="expected_seq", headers=GIVE_UP)
    things = read_things(profile.memory)
    try:
        check_change(change, things)
    except MemoryRefusedError as refused:
        raise _refusal(refused) from refused
    there = things.get(change.key)
    if change.kind == Kind.SET and there is not None and there.text == change.text and not origin.once_key:
        return Changed(profile, None, is_new=False)
    event = _append(profile, change, origin, now=now)
    apply(things, change, seq=event.seq)
    profile.memory = as_json(things)
    profile.save(update_fields=["memory", "seq", "tip_hash", "updated_at"])
    return Changed(profile, event, is_new=True)


def lock_profile(profile_id: UUID) -> Profile:
    """Until the transaction ends: events are numbered one at a time. ApiError 404 when it is gone."""
    profile = Profile.objects.select_for_update(no_key=True).filter(id=profile_id).first()
    if profile is None:
        raise no_such_profile(Profile(id=profile_id).public_id)
    return profile


def record_memory_change(
    profile: Profile, verb: str, *, before: Mapping[str, object] | None = None, after: Mapping[str, object] | None = None, reason: str = ""
) -> None:
    """Into the audit log, inside the transaction of the change, with neither names nor texts: the log outlives what is to be forgotten.

    What was said stands in the event of that number.
    """
    record_audit(
        verb=verb,
        object_type="memory",
        object_id=profile.id,
        object_label=profile.public_id,
        workspace_id=profile.workspace_id,
        before=before,
        after=after,
        reason=reason,
    )


def _known(profile: Profile, change: Change, origin: Origin) -> MemoryEvent | None:
    """The event of an earlier request with the same key."""
    event = events_of(profile.id).filter(once_key=origin.once_key).first() if origin.once_key else None
    if event is not None and (event.kind, event.key, event.text) != (change.kind, change.key, change.text):
        message = "This idempotency key was used before for another change of this memory. Use a new key for a new change."
        raise ApiError(422, "idempotency_key_reused", message)
    return event


def _refusal(refused: MemoryRefusedError) -> ApiError:
    status = _STATUSES.get(refused.code, 400)
    return ApiError(status, refused.code, refused.message, param=refused.field, headers=GIVE_UP if status == 409 else None)


def _append(profile: Profile, change: Change, origin: Origin, *, now: datetime) -> MemoryEvent:
    said = Event(
        seq=profile.seq + 1,
        change=change,
        source=origin.source,
        at=now,
        item_id=origin.item_id,
        once_key=origin.once_key,
        why=origin.why[:LONGEST_WHY],
        previous_hash=bytes(profile.tip_hash),
    )
    event = MemoryEvent(
        profile=profile,
        seq=said.seq,
        kind=change.kind,
        key=change.key,
        text=change.text,
        source=said.source,
        created_by_id=origin.user_id,
        api_key_id=origin.api_key_id,
        item_id=said.item_id,
        once_key=said.once_key,
        why=said.why,
        previous_hash=said.previous_hash,
        hash=said.expected_hash,
        created_at=now,
    )
    event.save(force_insert=True)
    before, profile.seq, profile.tip_hash, profile.updated_at = profile.seq, event.seq, event.hash, now
    if origin.source == Source.STAFF:
        verb = "set" if change.kind == Kind.SET else "forgot"
        record_memory_change(profile, verb, before={"event": before}, after={"event": event.seq}, reason=origin.why)
    return event
