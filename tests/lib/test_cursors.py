"""Cursors lead on in the list that gave them out, and fail clearly anywhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.lib.cursors import CursorInvalidError, read_cursor, write_cursor


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=40), max_size=3))
def test_what_was_written_is_read_again(values: list[str]) -> None:
    assert read_cursor("jobs", write_cursor("jobs", values)) == values


@given(st.text(max_size=80) | st.from_regex(r"[A-Za-z0-9_-]{1,80}", fullmatch=True))
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(CursorInvalidError):
        read_cursor("jobs", text)


def test_the_cursor_of_another_list_and_a_changed_one_are_refused() -> None:
    cursor = write_cursor("jobs", ["a"])
    for text in (write_cursor("items", ["a"]), cursor[:-1], cursor + "A", "A" + cursor[1:], cursor * 400):
        with pytest.raises(CursorInvalidError):
            read_cursor("jobs", text)
