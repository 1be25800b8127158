"""Give claimed items back on a clean shutdown: it counts as nothing, neither as an attempt nor as a loss."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from apps.jobs.domain.claimed import ClaimedItem
from apps.lib.sql import server_cursor
from apps.spend.actions import resolve
from apps.spend.domain.charges import Ended, ResolutionKind
from apps.traces.actions import record_runs
from apps.traces.domain.records import RunRecord

_RELEASE = """
UPDATE jobs_item AS item SET state = 'waiting', run_id = NULL, pump_id = NULL, lease_until = NULL
FROM unnest(%s::uuid[], %s::uuid[]) AS held (id, run)
WHERE item.id = held.id AND item.run_id = held.run AND item.state = 'running'
RETURNING item.id
"""


def release_items(held: Sequence[ClaimedItem], *, now: datetime) -> int:
    """Make `held` claimable again, fenced; returns how many. A call that was cut short for it stands in the record as given back."""
    with transaction.atomic(), server_cursor() as cursor:
        cursor.execute(_RELEASE, ([item.item_id for item in held], [item.run_id for item in held]))
        given_back = {row[0] for row in cursor}
        record_runs([_record(item, now) for item in held if item.item_id in given_back])
        reserved = [item for item in held if item.item_id in given_back and item.reserved_usd is not None]
        resolve([Ended(item.run_id, ResolutionKind.RELEASE) for item in reserved])
    return len(given_back)


def _record(item: ClaimedItem, now: datetime) -> RunRecord:
    return RunRecord(
        id=item.run_id,
        workspace_id=item.workspace_id,
        job_id=item.job_id,
        item_id=item.item_id,
        pump_id=None,
        attempt=item.tries.attempts + item.tries.free + 1,
        outcome="given_back",
        decision="snooze",
        error_code="given_back",
        error_message="The worker was told to stop, and the call would have taken longer than it had left.",
        claimed_at=item.claimed_at,
        ended_at=now,
    )
