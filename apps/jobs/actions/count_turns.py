"""Running counters of turns, for /metrics: how their conflicts were resolved. They begin anew when Redis loses its data."""

from collections import Counter
from functools import partial

from django.db import transaction

from apps.jobs.actions.count_calls import add_counts


def count_turn(resolution: str) -> None:
    """After commit: `asked` (there was no conflict), `waited`, `moved` or `forked`; of what is not asked: `rejected` or `busy`."""
    transaction.on_commit(partial(add_counts, Counter({f"turn:{resolution}": 1})))
