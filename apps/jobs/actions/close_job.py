"""Close what waits in a job that is cancelled or out of time; what runs is left to its pump."""

from uuid import UUID

from django.db import connection

from apps.jobs.domain.lifecycle import ItemState, JobStatus
from apps.jobs.models import Job
from apps.lib.enqueue import enqueue

_AT_ONCE = 5000
# Small statements, so that a big job's close doesn't hold rows that settle and sweep want.
_CLOSE = """
UPDATE jobs_item SET state = %s, ended_at = now()
WHERE id IN (SELECT id FROM jobs_item WHERE job_id = %s AND state = 'waiting' ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED)
"""


def close_job(*, job_id: UUID) -> int:
    """Move waiting items to cancelled or expired and ring for the end; returns how many. Other jobs are left alone."""
    job = Job.objects.filter(id=job_id).only("status", "closes_as").first()
    state = _closing_state(job) if job else None
    if state is None:
        return 0
    closed = 0
    with connection.cursor() as cursor:
        while True:
            cursor.execute(_CLOSE, [state.value, job_id, _AT_ONCE])
            if not cursor.rowcount:
                break
            closed += cursor.rowcount
    enqueue("jobs.finish_job", queue="ingest", job_id=str(job_id))
    return closed


def _closing_state(job: Job) -> ItemState | None:
    if job.status == JobStatus.CANCELLING:
        return ItemState.CANCELLED
    if job.status == JobStatus.FINISHING and job.closes_as == JobStatus.EXPIRED:
        return ItemState.EXPIRED
    return None
