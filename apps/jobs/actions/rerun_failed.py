"""Run again what has failed in a job: its dead items wait anew, and a job that had completed gets a new revision."""

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from apps.jobs.actions.lock_batch import lock_batch, refuse_change
from apps.jobs.actions.record_change import record_change
from apps.jobs.actions.ring import ring
from apps.jobs.domain.lifecycle import JobStatus
from apps.jobs.models import Job
from apps.lib.http_errors import ApiError
from apps.lib.sql import server_cursor

_TIME_FOR_RERUN = timedelta(hours=24)
# As if they had never been tried; the runs and exchanges of before stay on record.
_REQUEUE = """
UPDATE jobs_item
SET state = 'waiting', run_id = NULL, not_before = statement_timestamp(), ended_at = NULL, answer_body_id = NULL, status_code = NULL,
    attempts = 0, ambiguous_tries = 0, free_tries = 0, losses = 0, lost_at = NULL, outcome = '', error_code = '', error_message = ''
WHERE job_id = %s AND state = 'dead'
"""


def rerun_failed(*, workspace_id: UUID, public_id: str, now: datetime, reason: str = "") -> tuple[Job, int]:
    """The job and how many items wait again; ApiError 404 for an unknown job, 409 when nothing failed or the job can't run any more.

    A completed job runs again as its next revision, for up to 24 hours: its files stay until the new ones replace both.
    In the OpenAI API it stays completed.
    """
    with transaction.atomic():
        job = lock_batch(workspace_id=workspace_id, public_id=public_id)
        if job.status not in {JobStatus.RUNNING, JobStatus.PAUSED, JobStatus.COMPLETED}:
            raise refuse_change(job, "rerun")
        with server_cursor() as cursor:
            cursor.execute(_REQUEUE, (job.id,))
            items = cursor.rowcount
        if not items:
            raise ApiError(409, "nothing_failed", "Nothing in this batch has failed.", headers={"x-should-retry": "false"})
        was = {"status": job.status, "revision": job.revision, "dead": job.dead}
        job.dead -= items
        if job.status == JobStatus.COMPLETED:
            job.status, job.revision = JobStatus.RUNNING, job.revision + 1
            job.completed_at, job.ended_at, job.finishing_at = job.completed_at or job.ended_at, None, None
            job.expires_at = now + _TIME_FOR_RERUN
        job.save(update_fields=["dead", "status", "revision", "completed_at", "ended_at", "finishing_at", "expires_at"])
        now_is = {"status": job.status, "revision": job.revision, "dead": job.dead}
        record_change(job, "rerun", before=was, after=now_is, reason=reason)
        if job.status == JobStatus.RUNNING:
            ring(lane=job.lane, job_id=job.id)
    return job, items
