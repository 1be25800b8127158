"""States: how they are told, read again and compared."""

from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.conversations.domain.state import State, StateUnreadableError, first_hash, read_state, turn_hash


@given(st.integers(0, 999_999_999), st.binary(min_size=32, max_size=32), st.integers(0, 10**17))
def test_a_state_that_was_told_is_known_again(version: int, tip: bytes, seq: int) -> None:
    read = read_state(State(version, tip, seq).token)
    assert read.fits(version, tip)
    assert not read.fits(version + 1, tip)
    assert not read.fits(version, bytes([tip[0] ^ 1]) + tip[1:])
    # A version alone says nothing of the way there.
    assert read_state(version).fits(version, first_hash(uuid4()))
    assert read_state(str(version)) == read_state(version)


@pytest.mark.parametrize("value", ["", "-1", "01", "1.2", "7.XYZ.3", "7.0c1d2e3f4a5b6c7d", True, None, 1.5, "7\n", "1" * 10])
def test_what_is_no_state_is_refused(value: Any) -> None:
    with pytest.raises(StateUnreadableError):
        read_state(value)


def test_the_hash_of_a_turn_is_of_all_that_was_said_and_all_before_it() -> None:
    said: dict[str, Any] = {"input": "Hello", "messages": None, "answer": "Hi", "tool_calls": None}
    start = first_hash(uuid4())
    others = [
        turn_hash(start, **said),
        turn_hash(first_hash(uuid4()), **said),
        turn_hash(start, **said | {"input": "Hello "}),
        turn_hash(start, **said | {"messages": [{"role": "tool"}]}),
        turn_hash(start, **said | {"answer": ""}),
        turn_hash(start, **said | {"tool_calls": [{"id": "call_1"}]}),
        turn_hash(start, **said | {"answer": "\ud800"}),
    ]
    assert len(set(others)) == len(others)
    assert turn_hash(start, **said) == others[0]
