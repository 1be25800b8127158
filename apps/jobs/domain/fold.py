"""Fold many results into one: so many at a time, round after round, until one is left."""

from collections.abc import Sequence
from itertools import islice
from typing import TypeVar

Place = tuple[int, int]
"""(round, part) of one result of a step."""

_Anything = TypeVar("_Anything")


def cut_groups(things: Sequence[_Anything], group: int) -> list[Sequence[_Anything]]:
    """So many in each, the last one may be short; with 0 all in one. Nothing makes one empty group, so that a step asks at least once.

    Groups are of the same places always: where one thing differs, one group does.
    """
    if group <= 0 or not things:
        return [things]
    return [things[start : start + group] for start in range(0, len(things), group)]


def fold_rounds(count: int, group: int) -> list[list[Sequence[Place]]]:
    """The groups of each round after the first, which made `count` results; a group of one is its result already, and asks nothing."""
    rounds: list[list[Sequence[Place]]] = []
    level: list[Place] = [(0, part) for part in range(count)]
    while group > 1 and len(level) > 1:
        groups = cut_groups(level, group)
        rounds.append(groups)
        level = [places[0] if len(places) == 1 else (len(rounds), part) for part, places in enumerate(groups)]
    return rounds


def groups_of_round(count: int, group: int, round_: int) -> list[tuple[int, Sequence[Place]]]:
    """(part, places that it is of) of what a round asks, counted from 1 on; nothing when none is left."""
    groups = next(islice(fold_rounds(count, group), round_ - 1, None), [])
    return [(part, places) for part, places in enumerate(groups) if len(places) > 1]
