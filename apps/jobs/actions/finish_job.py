"""Finish a job: write its output and error files and close it, in one transaction, once no item is open.

Safe to run again after a kill and twice at once: a session lock lets one through, and files and end are committed together.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import datetime
from uuid import UUID

import structlog
from django.db import transaction

from apps.files.actions import create_file, discard_bytes
from apps.jobs.actions.advance_job import advance
from apps.jobs.actions.close_documents import close_left
from apps.jobs.actions.index_documents import INDEX
from apps.jobs.actions.merge_results import merge_results
from apps.jobs.actions.publish_end import publish_end
from apps.jobs.actions.summarise_conversation import SUMMARY
from apps.jobs.actions.validate_job import remove_items
from apps.jobs.domain.lifecycle import ItemState, JobStatus
from apps.jobs.models import Job
from apps.jobs.queries import FAILED, SUCCEEDED, has_items, result_chunks
from apps.lib.advisory_lock import advisory_lock
from apps.lib.enqueue import enqueue
from apps.lib.failpoints import failpoint
from apps.lib.sql import server_cursor

log = structlog.get_logger(__name__)

# With no item open none can open again: claim takes waiting ones, settle gives back only what runs. Of documents, nothing has ended since
# their next steps were looked for.
_BEGIN = """
UPDATE jobs_job AS job
SET status = CASE WHEN status = 'cancelling' THEN status ELSE 'finishing' END,
    finishing_at = CASE WHEN status = 'cancelling' THEN finishing_at ELSE coalesce(finishing_at, %(now)s) END
WHERE id = %(job_id)s AND kind <> 'single' AND status IN ('running', 'paused', 'finishing', 'cancelling')
  AND NOT EXISTS (SELECT 1 FROM jobs_item WHERE job_id = job.id AND state = 'running')
  AND NOT EXISTS (SELECT 1 FROM jobs_item WHERE job_id = job.id AND state = 'waiting')
  AND (kind <> 'documents' OR status NOT IN ('running', 'paused') OR advanced = done + dead)
"""
# Cancelled while its files were being written: it ends as cancelled, with the files.
_END = """
UPDATE jobs_job
SET status = CASE WHEN status = 'cancelling' THEN 'cancelled' ELSE closes_as END, ended_at = %(now)s,
    completed_at = CASE WHEN status <> 'cancelling' AND closes_as = 'completed' THEN coalesce(completed_at, %(now)s) ELSE completed_at END,
    output_file_id = %(output_file_id)s, error_file_id = %(error_file_id)s
WHERE id = %(job_id)s AND status IN ('finishing', 'cancelling')
RETURNING status
"""


def finish_job(*, job_id: UUID, clock: Callable[[], datetime]) -> None:
    """End the job if nothing of it is open any more; otherwise leave it alone."""
    with advisory_lock(job_id) as is_mine:
        if not is_mine:
            return
        # Cancelled before its lines were all in: whatever is there was never promised to run.
        if Job.objects.filter(id=job_id, status=JobStatus.CANCELLING, started_at=None).exists():
            remove_items(job_id)
        runs = Job.objects.filter(id=job_id, kind="documents", status__in=[JobStatus.RUNNING, JobStatus.PAUSED])
        if (job := runs.select_related("recipe").first()) is not None:
            advance(job, clock=clock)
        if _begin(job_id, clock()):
            _end(Job.objects.select_related("recipe").get(id=job_id), clock)


def _begin(job_id: UUID, now: datetime) -> bool:
    with server_cursor() as cursor:
        cursor.execute(_BEGIN, {"job_id": job_id, "now": now})
        return cursor.rowcount == 1


def _end(job: Job, clock: Callable[[], datetime]) -> None:
    with ExitStack() as discard:
        with transaction.atomic(), server_cursor() as cursor:
            # The vectors of an index go to their documents, a summary to its conversation.
            has_files = job.kind not in (INDEX, SUMMARY)
            output_file_id = _write_file(job, "output", SUCCEEDED, clock(), discard) if has_files else None
            error_file_id = _write_file(job, "error", FAILED, clock(), discard) if has_files else None
            cursor.execute(_END, {"job_id": job.id, "now": clock(), "output_file_id": output_file_id, "error_file_id": error_file_id})
            status = cursor.fetchone()
            if status is not None and job.kind == "documents":
                close_left(job, JobStatus(status[0]), now=clock())
            if job.kind == INDEX:
                enqueue("jobs.index_documents", queue="ingest")
            elif has_files and status is not None:
                publish_end(job, JobStatus(status[0]), now=clock())
            failpoint("finish.before_commit")
        discard.pop_all()
    failpoint("finish.after_commit")
    log.info("job_finished", job_id=str(job.id), status=status[0] if status else None)


def _write_file(job: Job, name: str, states: Sequence[ItemState], now: datetime, discard: ExitStack) -> UUID | None:
    """Write one of the files, if it has lines; should the transaction fail, `discard` removes the bytes as well."""
    if not has_items(job.id, states):
        return None
    file = create_file(
        workspace_id=job.workspace_id,
        api_key_id=job.api_key_id,
        purpose="batch_output",
        filename=f"{job.public_id}_{name}.jsonl",
        content=merge_results(job) if states == SUCCEEDED else result_chunks(job.id, states=states),
        expires_after_seconds=job.output_expires_after_seconds,
        now=now,
    )
    discard.callback(discard_bytes, storage_key=file.storage_key)
    return file.id
