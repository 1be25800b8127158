"""Turns whose hashes follow from each other, and one snapshot for one question in one state."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from apps.conversations.domain.state import first_hash
from apps.conversations.domain.turn_chain import Retrieval, SaidAndHashed, find_mixed, find_turn_breaks

START = first_hash(UUID(int=1))


def chain(*said: str) -> list[SaidAndHashed]:
    turns: list[SaidAndHashed] = []
    for number, text in enumerate(said, start=1):
        turn = SaidAndHashed(number, text, None, f"{text}!", None, turns[-1].hash if turns else START, b"")
        turns.append(replace(turn, hash=turn.expected_hash))
    return turns


ONE, TWO, THREE = TURNS = chain("one", "two", "three")


def breaks(turns: list[SaidAndHashed], **told: Any) -> list[str]:
    ends = {"after": 0, "tip": START, "version": 3, "tip_hash": THREE.hash} | told
    return list(find_turn_breaks(turns, **ends))


def test_a_whole_chain_has_no_break_and_neither_has_its_end() -> None:
    assert breaks(TURNS) == []
    assert breaks([THREE], after=2, tip=TWO.hash) == []
    assert breaks([], version=0, tip_hash=START) == []


@pytest.mark.parametrize(
    "change", [{"input": "2"}, {"answer": "2"}, {"messages": [{"role": "tool"}]}, {"tool_calls": [{"id": "a"}]}, {"hash": START}]
)
def test_whatever_is_changed_in_a_turn_is_found(change: dict[str, Any]) -> None:
    assert "turn 2 isn't what was said: its hash is another" in breaks([ONE, replace(TWO, **change), THREE])


@pytest.mark.parametrize(
    ("turns", "told", "found"),
    [
        ([ONE, THREE], {}, ["turn 2 is missing"]),
        ([ONE, TWO], {}, ["the conversation is in version 3, its last answered turn is 2"]),
        (TURNS, {"tip_hash": TWO.hash}, ["the conversation's tip isn't the hash of turn 3"]),
        (TURNS, {"tip": first_hash(UUID(int=2))}, ["turn 1 doesn't follow the one before it"]),
    ],
)
def test_what_does_not_follow_is_found(turns: list[SaidAndHashed], told: dict[str, Any], found: list[str]) -> None:
    assert breaks(turns, **told) == found


def retrieval(number: int, snapshot_id: str, **told: Any) -> Retrieval:
    values = {"workspace_id": UUID(int=5), "version": 3, "previous_hash": START, "query_key": "q"} | told
    return Retrieval(turn_id=UUID(int=number), conversation_id=UUID(int=number), snapshot_id=snapshot_id, **values)


def test_one_question_in_one_state_has_one_snapshot_in_all_conversations() -> None:
    alike = [retrieval(1, "a"), retrieval(2, "a"), retrieval(3, "b", query_key="other"), retrieval(4, "c", version=4)]
    assert list(find_mixed(alike, {})) == []
    found = list(find_mixed([*alike, retrieval(5, "b")], {}))
    assert found == [(retrieval(5, "b"), "turn 4 was answered from another snapshot than the same question in the same state")]


def test_the_pin_says_which_one_it_is() -> None:
    one, other = retrieval(1, "a"), retrieval(2, "b")
    found = list(find_mixed([one, other], {one.pin: "b"}))
    assert found[0] == (one, "turn 4 was answered from another snapshot than is pinned to its state")
    assert list(find_mixed([other], {one.pin: "b"})) == []
