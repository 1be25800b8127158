"""Keep what happened to providers: as rows for people, as counters for /metrics."""

from collections import Counter
from collections.abc import Sequence

from apps.jobs.actions.count_calls import add_counts
from apps.providers.actions import record_transitions
from apps.providers.domain.transitions import Transition


def keep_transitions(happened: Sequence[Transition]) -> None:
    """The counters only after the rows: what could not be written is told again, and would count twice."""
    record_transitions(happened)
    counts: Counter[str] = Counter()
    for one in happened:
        owner = f"target:{one.target_id.hex}" if one.target_id else f"provider:{one.provider_id.hex}" if one.provider_id else ""
        counts[f"transition:{owner}:{one.what}"] += 1
    add_counts(counts)
