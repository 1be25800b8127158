"""Write the record; each verb is one set-based statement inside the caller's transaction."""

from apps.traces.actions.count_outcomes import count_outcomes
from apps.traces.actions.record_runs import record_exchanges, record_runs
from apps.traces.actions.store_bodies import store_bodies
from apps.traces.actions.use_bodies import use_bodies

__all__ = ["count_outcomes", "record_exchanges", "record_runs", "store_bodies", "use_bodies"]
