"""Folding: groups of fixed places, round after round, until one is left; a group of one asks nothing."""

from hypothesis import given
from hypothesis import strategies as st

from apps.jobs.domain.fold import cut_groups, fold_rounds, groups_of_round


def test_groups_have_fixed_places() -> None:
    assert cut_groups([1, 2, 3, 4, 5], 2) == [[1, 2], [3, 4], [5]]
    assert cut_groups([1, 2, 3], 0) == [[1, 2, 3]]
    assert cut_groups([], 3) == [[]]


def test_a_single_result_is_carried_to_the_round_where_it_has_company() -> None:
    # Five results: (0 1) (2 3) and 4 alone; then their two answers, and 4 alone again; then both.
    assert groups_of_round(5, 2, 1) == [(0, [(0, 0), (0, 1)]), (1, [(0, 2), (0, 3)])]
    assert groups_of_round(5, 2, 2) == [(0, [(1, 0), (1, 1)])]
    assert groups_of_round(5, 2, 3) == [(0, [(2, 0), (0, 4)])]
    assert groups_of_round(5, 2, 4) == []


def test_one_result_needs_no_round() -> None:
    assert fold_rounds(1, 10) == []
    assert fold_rounds(7, 0) == []


@given(st.integers(1, 300), st.integers(2, 12))
def test_each_result_goes_in_once_and_one_comes_out(count: int, group: int) -> None:
    rounds = fold_rounds(count, group)
    taken = [place for number in range(len(rounds)) for _, places in groups_of_round(count, group, number + 1) for place in places]
    made = [(number + 1, part) for number in range(len(rounds)) for part, _ in groups_of_round(count, group, number + 1)]
    assert len(taken) == len(set(taken))
    left = ({(0, part) for part in range(count)} | set(made)) - set(taken)
    assert left == {(len(rounds), 0)}
