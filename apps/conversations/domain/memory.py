"""What is remembered of a person: a chain of events that nobody changes, and what they come to.

Each event's hash is the SHA-256 of the hash before it and of what the event says, so that a changed, lost or inserted one is found.
What is remembered at a time is `fold` of the events up to then; the projection that a profile keeps is the same, written down.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import orjson

from apps.conversations.domain.hash_chain import Link, walk_chain
from apps.lib.json_text import is_storable

LONGEST_KEY = 100
LONGEST_TEXT = 2_000
LONGEST_WHY = 500
MOST_THINGS = 200
KEY = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
KEY_RULE = f"A key has 1 to {LONGEST_KEY} characters: small letters, digits, '.', '_' and '-', and begins with a letter or a digit."


class Kind(StrEnum):
    """What an event does with its key."""

    SET = "set"
    FORGET = "forget"


class Source(StrEnum):
    """Who had it remembered: a person in the back office, a program with an API key, or a model by its tool."""

    STAFF = "staff"
    API = "api"
    TOOL = "tool"


class MemoryRefusedError(Exception):
    """A change can't be made. `code` is for programs; `field` is `key`, `text` or `end_user`."""

    def __init__(self, code: str, message: str, *, field: str) -> None:
        super().__init__(message)
        self.code, self.message, self.field = code, message, field


@dataclass(frozen=True, slots=True)
class Change:
    """One thing to remember under a key, or to forget; `text` is empty then."""

    kind: Kind
    key: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Thing:
    """What is remembered under a key, since the event `seq`."""

    key: str
    text: str
    seq: int


@dataclass(frozen=True, slots=True)
class Event:
    """One change as it was written down. Who made it stands beside it, not in it: people and keys may be deleted."""

    seq: int
    change: Change
    source: str
    at: datetime
    item_id: UUID | None
    once_key: str
    why: str
    previous_hash: bytes
    hash: bytes = b""

    @property
    def expected_hash(self) -> bytes:
        """32 bytes: what its hash must be."""
        content = {
            "seq": self.seq,
            "kind": self.change.kind,
            "key": self.change.key,
            "text": self.change.text,
            "source": self.source,
            "at": self.at.astimezone(UTC).isoformat(timespec="microseconds"),
            "item": self.item_id.hex if self.item_id else None,
            "once": self.once_key,
            "why": self.why,
        }
        return hashlib.sha256(self.previous_hash + orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).digest()


def start_hash(profile_id: UUID) -> bytes:
    """32 bytes: what the first event of a profile follows; no two profiles can have the same chain."""
    return hashlib.sha256(b"memory of " + profile_id.bytes).digest()


def fold(events: Iterable[Event]) -> dict[str, Thing]:
    """What is remembered after these events, which come in their order and from the first one on."""
    things: dict[str, Thing] = {}
    for event in events:
        apply(things, event.change, seq=event.seq)
    return things


def apply(things: dict[str, Thing], change: Change, *, seq: int) -> None:
    """Make `things` what is remembered after this change as well."""
    if change.kind == Kind.SET:
        things[change.key] = Thing(change.key, change.text, seq)
    else:
        things.pop(change.key, None)


def newest_first(things: Mapping[str, Thing]) -> list[Thing]:
    """What was told last matters most."""
    return sorted(things.values(), key=lambda thing: -thing.seq)


def as_json(things: Mapping[str, Thing]) -> dict[str, Any]:
    """As a profile keeps it: `{key: {"text", "seq"}}`."""
    return {thing.key: {"text": thing.text, "seq": thing.seq} for thing in things.values()}


def read_things(kept: Mapping[str, Any]) -> dict[str, Thing]:
    """What a profile keeps."""
    return {key: Thing(key, value["text"], value["seq"]) for key, value in kept.items()}


def check_change(change: Change, things: Mapping[str, Thing]) -> None:
    """MemoryRefusedError when the change can't be made to what is remembered now."""
    check_key(change.key)
    if change.kind == Kind.FORGET:
        if change.key not in things:
            raise MemoryRefusedError("not_found", f"Nothing is remembered under {change.key!r}.", field="key")
        return
    check_text(change.text)
    if change.key not in things and len(things) >= MOST_THINGS:
        message = f"{MOST_THINGS:,} things are remembered of this person, and that is the most. Forget one, or change one that is there."
        raise MemoryRefusedError("too_many_things", message, field="key")


def check_key(key: str) -> None:
    """MemoryRefusedError for what is no key."""
    if not KEY.fullmatch(key):
        raise MemoryRefusedError("invalid_value", f"{KEY_RULE} {key[:LONGEST_KEY]!r} isn't one.", field="key")


def check_text(text: str) -> None:
    """MemoryRefusedError for what can't be remembered."""
    if not text.strip():
        raise MemoryRefusedError("invalid_value", "'text' is empty: to forget something, delete it.", field="text")
    if len(text) > LONGEST_TEXT:
        message = f"'text' has {len(text):,} characters; at most {LONGEST_TEXT:,} are remembered under a key."
        raise MemoryRefusedError("invalid_value", message, field="text")
    if not is_storable(text):
        raise MemoryRefusedError("invalid_value", "'text' holds a character that no text can: U+0000, or half of a pair.", field="text")


@dataclass(frozen=True, slots=True)
class Difference:
    """What was remembered under a key before and after; None: nothing."""

    key: str
    before: str | None
    after: str | None


def compare(before: Mapping[str, Thing], after: Mapping[str, Thing]) -> list[Difference]:
    """What is different, by key; what was said anew in the same words is the same."""
    texts = [{key: thing.text for key, thing in things.items()} for things in (before, after)]
    return [
        Difference(key, texts[0].get(key), texts[1].get(key)) for key in sorted({*before, *after}) if texts[0].get(key) != texts[1].get(key)
    ]


def find_breaks(events: Iterable[Event], *, start: bytes, seq: int, tip_hash: bytes) -> Iterator[str]:
    """What is wrong with a chain that ends, as its profile says, at `seq` with `tip_hash`; nothing, if it is whole."""
    links = (Link(event.seq, event.previous_hash, event.hash, event.expected_hash) for event in events)
    last, previous = yield from walk_chain(links, after=0, tip=start, name="event", was="what was written down")
    if last != seq:
        yield f"the profile stands at event {seq}, its last event is {last}"
    elif previous != tip_hash:
        yield f"the profile's hash isn't that of event {seq}"


def find_differences(kept: Mapping[str, Any], folded: Mapping[str, Thing]) -> list[str]:
    """The keys under which a profile keeps something else than its events come to; texts are not told."""
    expected = as_json(folded)
    return sorted(key for key in {*kept, *expected} if kept.get(key) != expected.get(key))
