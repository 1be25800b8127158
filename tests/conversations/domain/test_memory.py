"""Events and what they come to: the fold, the chain, what can be remembered."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.conversations.domain.memory import (
    LONGEST_TEXT,
    MOST_THINGS,
    Change,
    Event,
    Kind,
    MemoryRefusedError,
    Thing,
    as_json,
    check_change,
    find_breaks,
    find_differences,
    fold,
    newest_first,
    read_things,
    start_hash,
)

START = start_hash(UUID(int=1))
AT = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


def chain(*changes: Change) -> list[Event]:
    events: list[Event] = []
    for seq, change in enumerate(changes, start=1):
        previous = events[-1].hash if events else START
        event = Event(seq, change, "api", AT, None, "", "", previous)
        events.append(replace(event, hash=event.expected_hash))
    return events


def told(key: str, text: str) -> Change:
    return Change(Kind.SET, key, text)


def gone(key: str) -> Change:
    return Change(Kind.FORGET, key)


def breaks(events: list[Event], seq: int = 3, tip_hash: bytes | None = None) -> list[str]:
    return list(find_breaks(events, start=START, seq=seq, tip_hash=events[-1].hash if tip_hash is None else tip_hash))


THREE = chain(told("name", "Ada"), told("town", "London"), told("name", "Ada Lovelace"))


def test_what_is_remembered_is_what_was_told_last_and_not_forgotten() -> None:
    things = fold(chain(told("name", "Ada"), told("town", "London"), told("name", "Ada Lovelace"), gone("town"), told("pet", "a cat")))
    assert newest_first(things) == [Thing("pet", "a cat", 5), Thing("name", "Ada Lovelace", 3)]
    assert read_things(as_json(things)) == things
    assert find_differences(as_json(things), things) == []


_CHANGES = st.lists(st.builds(Change, st.sampled_from(Kind), st.sampled_from("abc"), st.sampled_from("xyz")), max_size=12)


@given(_CHANGES, st.integers(0, 12))
def test_a_fold_goes_on_where_another_has_ended(changes: list[Change], cut: int) -> None:
    events = chain(*changes)
    before = fold(events[:cut])
    after = dict(before)
    for event in events[cut:]:
        after.pop(event.change.key, None)
        after |= fold([event])
    assert after == fold(events)
    assert list(find_breaks(events, start=START, seq=len(events), tip_hash=events[-1].hash if events else START)) == []


def test_the_first_event_follows_its_profile_alone() -> None:
    assert breaks(THREE) == []
    of_another = find_breaks(THREE, start=start_hash(UUID(int=2)), seq=3, tip_hash=THREE[-1].hash)
    assert list(of_another) == ["event 1 doesn't follow the one before it"]


@pytest.mark.parametrize("change", [
    {"change": told("town", "Paris")}, {"change": told("home", "London")}, {"change": gone("town")}, {"source": "staff"},
    {"at": datetime(2026, 1, 2, tzinfo=UTC)}, {"item_id": UUID(int=7)}, {"once_key": "k"}, {"why": "because"}, {"hash": b"\0" * 32},
])  # fmt: skip
def test_whatever_is_changed_in_an_event_is_found(change: dict[str, object]) -> None:
    assert "event 2 isn't what was written down: its hash is another" in breaks([THREE[0], replace(THREE[1], **change), THREE[2]])


def test_an_event_that_was_forged_with_its_hash_is_found_by_the_next_one() -> None:
    forged = replace(THREE[1], change=told("town", "Paris"))
    forged = replace(forged, hash=forged.expected_hash)
    assert breaks([THREE[0], forged, THREE[2]]) == ["event 3 doesn't follow the one before it"]


@pytest.mark.parametrize(
    ("events", "found"),
    [
        ([THREE[0], THREE[2]], ["event 2 is missing"]),
        (THREE[1:], ["event 1 is missing"]),
        (THREE[:2], ["the profile stands at event 3, its last event is 2"]),
    ],
)
def test_a_lost_event_is_found(events: list[Event], found: list[str]) -> None:
    assert breaks(events) == found


def test_a_profile_with_another_hash_than_its_last_event_is_found() -> None:
    assert breaks(THREE, tip_hash=START) == ["the profile's hash isn't that of event 3"]


def test_what_a_profile_keeps_otherwise_is_told_by_its_keys() -> None:
    kept = as_json(fold(THREE)) | {"name": {"text": "Eve", "seq": 3}, "pet": {"text": "a cat", "seq": 2}}
    assert find_differences(kept, fold(THREE)) == ["name", "pet"]


@pytest.mark.parametrize(
    ("change", "code", "field", "words"),
    [
        (told("", "x"), "invalid_value", "key", "begins with a letter or a digit"),
        (told("Name", "x"), "invalid_value", "key", "small letters"),
        (told("a/b", "x"), "invalid_value", "key", "'a/b' isn't one"),
        (told("k" * 101, "x"), "invalid_value", "key", "1 to 100"),
        (told("name", " \n"), "invalid_value", "text", "empty"),
        (told("name", "x" * (LONGEST_TEXT + 1)), "invalid_value", "text", "2,001 characters"),
        (told("name", "a\0b"), "invalid_value", "text", "U+0000"),
        (told("name", "\ud800"), "invalid_value", "text", "half of a pair"),
        (gone("town"), "not_found", "key", "'town'"),
    ],
)
def test_what_cannot_be_remembered_is_refused_by_name(change: Change, code: str, field: str, words: str) -> None:
    with pytest.raises(MemoryRefusedError) as refused:
        check_change(change, {"name": Thing("name", "Ada", 1)})
    assert (refused.value.code, refused.value.field) == (code, field)
    assert words in refused.value.message


def test_so_much_is_remembered_and_no_more() -> None:
    full = {f"k{n}": Thing(f"k{n}", "x", n) for n in range(MOST_THINGS)}
    check_change(told("k7", "y" * LONGEST_TEXT), full)
    with pytest.raises(MemoryRefusedError, match="Forget one") as refused:
        check_change(told("one-more", "y"), full)
    assert refused.value.code == "too_many_things"
