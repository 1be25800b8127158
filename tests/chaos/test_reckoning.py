"""What is held against each other after each chaos case tells what is missing, doubled or too much."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from tests.chaos.reckoning import Usage, hash_of, match_runs

ONE, OTHER = UUID(int=1), UUID(int=2)
CALL = ("small", 20, 30)
NOTHING = Usage()


def told(*answers: tuple[UUID, int], others: Sequence[Any] = ()) -> dict[str, Any]:
    """As the simulator tells it: so many answers to each of these runs."""
    calls = {hash_of(str(run)): [["2026-11-22", *CALL]] * number for run, number in answers}
    return {"since": "2026-11-22T00:00:00+00:00", "calls": calls, "others": list(others)}


@pytest.mark.parametrize(
    ("seen", "charged", "unused", "wasted", "expected"),
    [
        (told((ONE, 1), (OTHER, 2)), [ONE, OTHER, OTHER], [], {}, (0, NOTHING, 0)),
        (told((ONE, 1), (OTHER, 1)), [ONE], [], {}, (0, Usage(1, 20, 30), 1)),
        (told((ONE, 1), (OTHER, 1)), [ONE], [OTHER], {}, (1, NOTHING, 0)),
        (told((ONE, 2)), [ONE], [], {ONE: 1}, (1, NOTHING, 0)),
        (told((ONE, 3)), [ONE], [], {ONE: 1}, (0, Usage(2, 40, 60), 2)),
        (told((ONE, 1)), [ONE, ONE], [], {}, (0, Usage(-1, -20, -30), 1)),
        (told((ONE, 1)), [OTHER], [], {}, (0, NOTHING, 2)),
        (told((ONE, 1), others=[["2026-11-22", *CALL[:1], 1, 20, 30]]), [ONE], [], {}, (0, Usage(1, 20, 30), 1)),
    ],
    ids=["all charged", "forgotten", "given up", "wasted", "more than was wasted", "charged twice", "charged to another", "nobody's"],
)
def test_each_answer_is_charged_once_or_known_as_lost(
    seen: dict[str, Any], charged: list[UUID], unused: list[UUID], wasted: dict[UUID, int], expected: tuple[int, Usage, int]
) -> None:
    rows = [(run, *CALL) for run in charged]
    known = {hash_of(str(run)): number for run, number in wasted.items()}
    delivered, paid, lost, unmatched = match_runs(seen, rows, {hash_of(str(run)) for run in unused}, known)
    assert (lost.calls, delivered - paid - lost, unmatched) == expected
