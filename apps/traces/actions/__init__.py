"""Write the record; each verb is one set-based statement inside the caller's transaction."""

from apps.traces.actions.count_outcomes import count_outcomes
from apps.traces.actions.record_effects import begin_effect, end_effect, find_end, lock_effect
from apps.traces.actions.record_runs import record_exchanges, record_runs
from apps.traces.actions.store_bodies import store_bodies
from apps.traces.actions.use_bodies import use_bodies

__all__ = [
    "begin_effect",
    "count_outcomes",
    "end_effect",
    "find_end",
    "lock_effect",
    "record_exchanges",
    "record_runs",
    "store_bodies",
    "use_bodies",
]
