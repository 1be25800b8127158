"""Take back the items whose pump was killed: their lease is over by the Postgres clock."""

from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from apps.jobs.actions.bury import Death, bury
from apps.jobs.actions.claim import ALONE_LOSSES
from apps.jobs.actions.settle import LEFT_DRAFT, LOCK_JOBS
from apps.jobs.domain.fingerprint import POISON_MESSAGE
from apps.lib.enqueue import enqueue
from apps.lib.sql import server_cursor
from apps.spend.actions import write_off
from apps.spend.domain.charges import LostRun
from apps.traces.actions import record_runs
from apps.traces.domain.records import RunRecord

_AT_ONCE = 2000
_POISON = POISON_MESSAGE

# Only a loss while alone is the item's own fault; in company, its neighbours may have done it.
_TAKE_BACK = f"""
WITH lost AS (
    SELECT id, run_id, pump_id, claimed_at, losses >= {ALONE_LOSSES} AS is_poison FROM jobs_item
    WHERE state = 'running' AND lease_until < statement_timestamp()
      -- Nobody could renew while Postgres was down: pumps that live get a moment to do so first.
      AND statement_timestamp() > pg_postmaster_start_time() + %s * interval '1 second'
    ORDER BY id LIMIT {_AT_ONCE} FOR UPDATE SKIP LOCKED
)
UPDATE jobs_item AS item
SET state = CASE WHEN lost.is_poison THEN 'dead' ELSE 'waiting' END,
    losses = item.losses + 1, lost_at = statement_timestamp(), pump_id = NULL, lease_until = NULL, not_before = statement_timestamp(),
    run_id = CASE WHEN lost.is_poison THEN item.run_id END,
    ended_at = CASE WHEN lost.is_poison THEN statement_timestamp() END,
    draft_body_id = CASE WHEN lost.is_poison THEN {LEFT_DRAFT} END,
    outcome = CASE WHEN lost.is_poison THEN 'lost' ELSE item.outcome END,
    error_code = CASE WHEN lost.is_poison THEN 'poison' ELSE item.error_code END,
    error_message = CASE WHEN lost.is_poison THEN '{_POISON}'
                         ELSE item.error_message END
FROM lost WHERE item.id = lost.id
RETURNING item.id, lost.run_id, item.job_id, item.workspace_id, lost.pump_id, item.losses, lost.claimed_at,
          statement_timestamp(), lost.is_poison, item.model_id, (SELECT api_key_id FROM jobs_job WHERE id = item.job_id), item.end_user,
          item.feature, item.lane, item.prompt_version
"""  # noqa: S608 -- constants of this module
_COUNT_DEAD = """
UPDATE jobs_job AS job SET dead = job.dead + poisoned.n,
    status = CASE WHEN job.kind = 'single' THEN 'completed' ELSE job.status END,
    ended_at = CASE WHEN job.kind = 'single' THEN statement_timestamp() ELSE job.ended_at END
FROM unnest(%s::uuid[], %s::int[]) AS poisoned (id, n) WHERE job.id = poisoned.id
"""


def take_back_lost() -> int:
    """Make lost items claimable again (or dead, when they were lost while alone); returns how many."""
    with transaction.atomic(), server_cursor() as cursor:
        cursor.execute(_TAKE_BACK, (settings.JOBS_OUTAGE_SECONDS,))
        rows = cursor.fetchall()
        record_runs([_lost_run(row) for row in rows])
        bury(Death(item_id=row[0], outcome="lost", code="poison", message=_POISON) for row in rows if row[8])
        _count_poisoned(cursor, [row[2] for row in rows if row[8]])
        write_off([LostRun(row[1], *row[9:]) for row in rows])
        for job_id in {row[2] for row in rows}:
            # A cancelled or expired job may have waited for just these.
            enqueue("jobs.finish_job", queue="ingest", job_id=str(job_id))
    return len(rows)


def _count_poisoned(cursor: Any, job_ids: Sequence[UUID]) -> None:
    if job_ids:
        counts = Counter(job_ids)
        ids = sorted(counts)
        cursor.execute(LOCK_JOBS, (ids,))
        cursor.execute(_COUNT_DEAD, (ids, [counts[job_id] for job_id in ids]))


def _lost_run(row: Sequence[Any]) -> RunRecord:
    item_id, run_id, job_id, workspace_id, pump_id, losses, claimed_at, taken_at, is_poison = row[:9]
    return RunRecord(
        id=run_id,
        workspace_id=workspace_id,
        job_id=job_id,
        item_id=item_id,
        pump_id=pump_id,
        attempt=losses,
        outcome="lost",
        decision="dead" if is_poison else "snooze",
        error_code="lost",
        error_message="The worker that held this item died or lost touch with the database.",
        claimed_at=claimed_at,
        ended_at=taken_at,
    )
