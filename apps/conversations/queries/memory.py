"""Find people's profiles, and read what is remembered of them, now and as it was."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import F, QuerySet, Window
from django.db.models.functions import Lag

from apps.conversations.domain.memory import Change, Event, Kind, Thing, fold, newest_first, read_things
from apps.conversations.models import PROFILE_PREFIX, MemoryEvent, Profile
from apps.lib.http_errors import ApiError
from apps.lib.ids import parse_public_id


def profiles_of(workspace_id: UUID) -> QuerySet[Profile]:
    """A workspace's profiles."""
    return Profile.objects.filter(workspace_id=workspace_id)


def find_profile(*, workspace_id: UUID, public_id: str) -> Profile:
    """By its public id; ApiError 404 when there is none, told no differently for another workspace's."""
    key = parse_public_id(PROFILE_PREFIX, public_id)
    profile = profiles_of(workspace_id).filter(id=key).first() if key else None
    if profile is None:
        raise no_such_profile(public_id)
    return profile


def no_such_profile(public_id: str) -> ApiError:
    """The refusal for an id that the caller has no profile for."""
    return ApiError(404, "not_found", f"No such profile: {public_id[:100]!r}.")


def events_of(profile_id: UUID) -> QuerySet[MemoryEvent]:
    """A profile's events."""
    return MemoryEvent.objects.filter(profile_id=profile_id)


def as_event(row: MemoryEvent) -> Event:
    """What the rules know of a row."""
    return Event(
        seq=row.seq,
        change=Change(Kind(row.kind), row.key, row.text),
        source=row.source,
        at=row.created_at,
        item_id=row.item_id,
        once_key=row.once_key,
        why=row.why,
        previous_hash=bytes(row.previous_hash),
        hash=bytes(row.hash),
    )


def read_events(profile_id: UUID, *, upto: int | None = None) -> Iterator[Event]:
    """All of a profile's events in their order, or those up to a number; some at a time."""
    rows = events_of(profile_id).order_by("seq")
    return map(as_event, (rows if upto is None else rows.filter(seq__lte=upto)).iterator(chunk_size=500))


def read_memory(*, workspace_id: UUID, end_user: str, seq: int | None = None) -> tuple[int, list[Thing]]:
    """(seq, what is remembered of a person, newest first): now, or as it was after the event `seq`. (0, []) of whom nobody knows."""
    profile = profiles_of(workspace_id).filter(end_user=end_user).first() if end_user else None
    return (0, []) if profile is None else read_memory_of(profile, seq=seq)


def read_memory_of(profile: Profile, *, seq: int | None = None) -> tuple[int, list[Thing]]:
    """As `read_memory`, of a profile that was found; a number beyond its last event means now."""
    if seq is None or seq >= profile.seq:
        return profile.seq, newest_first(read_things(profile.memory))
    return seq, newest_first(fold(read_events(profile.id, upto=seq)))


@dataclass(frozen=True, slots=True)
class Told:
    """A thing with the event that says it."""

    thing: Thing
    event: MemoryEvent | None


def read_things_with_events(profile: Profile, things: Sequence[Thing]) -> list[Told]:
    """Each with since when and where from; None of a thing that no event says (a projection that is wrong)."""
    rows = events_of(profile.id).filter(seq__in=[thing.seq for thing in things]).select_related("created_by", "api_key")
    by_seq = {event.seq: event for event in rows}
    return [Told(thing, by_seq.get(thing.seq)) for thing in things]


def list_history(profile: Profile, *, upto: int | None, limit: int) -> list[MemoryEvent]:
    """The newest events up to a number, each with `before`: what was remembered under its key until then (empty or None: nothing)."""
    before = Window(Lag("text"), partition_by="key", order_by="seq")
    rows = events_of(profile.id).annotate(before=before).select_related("created_by", "api_key")
    return list((rows if upto is None else rows.filter(seq__lte=upto)).order_by(F("seq").desc())[:limit])
