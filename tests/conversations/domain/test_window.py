"""When what was said is summarised, and up to where."""

from hypothesis import given
from hypothesis import strategies as st

from apps.conversations.domain.window import SaidTurn, due_summary, history_room

_WINDOW = 1000


def said(tokens: list[int], first: int = 1) -> list[SaidTurn]:
    return [SaidTurn(number, each) for number, each in enumerate(tokens, start=first)]


def test_nothing_is_due_while_all_fits() -> None:
    assert due_summary(said([100, 100, 100]), window_tokens=_WINDOW, most_turns=400) is None
    assert due_summary([], window_tokens=_WINDOW, most_turns=400) is None


def test_all_but_the_newest_that_fit_a_quarter_are_summarised() -> None:
    assert due_summary(said([100] * 6), window_tokens=_WINDOW, most_turns=400) == 4
    assert due_summary(said([100] * 6, first=11), window_tokens=_WINDOW, most_turns=400) == 14


def test_the_newest_turn_stays_however_long_it_is() -> None:
    assert due_summary(said([10, 5000]), window_tokens=_WINDOW, most_turns=400) == 1
    assert due_summary(said([5000]), window_tokens=_WINDOW, most_turns=400) is None


def test_the_last_words_of_the_user_stay_with_what_tools_brought_for_them() -> None:
    turns = [SaidTurn(1, 100), SaidTurn(2, 40), *(SaidTurn(number, 300, is_spoken=False) for number in range(3, 10))]
    assert due_summary(turns, window_tokens=_WINDOW, most_turns=400) == 1
    assert due_summary(turns[1:], window_tokens=_WINDOW, most_turns=400) is None


def test_more_turns_than_are_told_at_once_are_summarised_however_short_they_are() -> None:
    assert due_summary(said([2] * 399), window_tokens=100_000, most_turns=400) is None
    assert due_summary(said([2] * 400), window_tokens=100_000, most_turns=400) == 200


@given(st.lists(st.integers(0, 400), min_size=1, max_size=40), st.integers(512, 4000))
def test_once_summarised_it_is_not_due_again(tokens: list[int], window: int) -> None:
    turns = said(tokens)
    upto = due_summary(turns, window_tokens=window, most_turns=400)
    if upto is None:
        assert sum(tokens) <= history_room(window) or len(turns) == 1
        return
    assert 1 <= upto < len(turns)
    left = [turn for turn in turns if turn.number > upto]
    assert len(left) == 1 or due_summary(left, window_tokens=window, most_turns=400) is None
