"""Make the sums anew from the ledgers, from the first row on."""

from collections.abc import Callable

from apps.spend.actions.begin_anew import begin_anew
from apps.spend.actions.roll_up import roll_up
from apps.spend.queries.spending import has_all_history


def rebuild_rollups(*, at_once: int = 50_000, tell: Callable[[int], None], wait: Callable[[], None]) -> int:
    """How many rows were added here; `tell` hears of it after each bite. The beat may add some of them meanwhile: then `wait`.

    So it does, too, while somebody else reads the sums that are to be forgotten.
    """
    begin_anew(at_once=at_once, wait=wait)
    rows = 0
    while not has_all_history():
        added = roll_up(at_once=at_once, seconds=0).rows
        rows += added
        tell(rows)
        if not added:
            wait()
    return rows
