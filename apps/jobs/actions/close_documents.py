"""Close documents of a job: with the answer of the last step, or with the reason why there is none; and open them again for a rerun."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.jobs.actions.build_requests import Refusal
from apps.jobs.domain.lifecycle import JobStatus
from apps.jobs.domain.next_asks import steps_of_job
from apps.jobs.domain.recipe import Plan, load_plan
from apps.jobs.models import DocumentState, Job, JobDocument
from apps.lib.sql import begin_short, server_cursor

# The last round of a step leaves one result.
_ANSWERED = """
UPDATE jobs_jobdocument AS document SET state = 'answered', answer_item_id = last.item_id, ended_at = %(now)s
FROM (
    SELECT DISTINCT ON (job_document_id) job_document_id, item_id FROM jobs_stepitem
    WHERE job_id = %(job)s AND step = ANY(ARRAY[%(step)s]::text[]) AND job_document_id = ANY(%(documents)s::uuid[])
    ORDER BY job_document_id, round DESC, part
) AS last
WHERE document.id = last.job_document_id AND document.state = 'open'
"""
_DIED = """
UPDATE jobs_jobdocument AS document
SET state = 'failed', step = died.step, error_code = died.error_code, error_message = died.error_message, ended_at = %(now)s
FROM (
    SELECT DISTINCT ON (place.job_document_id) place.job_document_id, place.step, item.error_code, item.error_message
    FROM jobs_stepitem AS place JOIN jobs_item AS item ON item.id = place.item_id
    WHERE place.job_id = %(job)s AND place.step = ANY(%(steps)s::text[]) AND place.job_document_id = ANY(%(documents)s::uuid[])
      AND item.state = 'dead'
    ORDER BY place.job_document_id, item.id
) AS died
WHERE document.id = died.job_document_id AND document.state = 'open'
"""
_REFUSED = """
UPDATE jobs_jobdocument AS document
SET state = 'failed', step = refused.step, error_code = refused.code, error_message = refused.message, ended_at = %b
FROM unnest(%b::uuid[], %b::text[], %b::text[], %b::text[]) AS refused (id, step, code, message)
WHERE document.id = refused.id AND document.state = 'open'
"""
_DIED_TOGETHER = """
SELECT place.step, item.error_code, item.error_message FROM jobs_stepitem AS place JOIN jobs_item AS item ON item.id = place.item_id
WHERE place.job_id = %b AND place.job_document_id IS NULL AND item.state = 'dead' ORDER BY item.id LIMIT 1
"""
_REOPEN = """
UPDATE jobs_jobdocument SET state = 'open', step = '', error_code = '', error_message = '', ended_at = NULL
WHERE job_id = %(job)s AND state = 'failed' AND (
    id IN (SELECT job_document_id FROM jobs_stepitem WHERE item_id = ANY(%(items)s::uuid[])) OR step = ANY(%(together)s::text[])
)
"""
_ENDS = {
    JobStatus.CANCELLED: ("batch_cancelled", "The job was cancelled before this document had its answer."),
    JobStatus.EXPIRED: ("batch_expired", "The job ran out of time before this document had its answer."),
    JobStatus.FAILED: ("batch_expired", "The job ran out of time before all of its documents were read."),
    JobStatus.COMPLETED: ("documents_failed", "The step needs all documents. Run again what failed of the others, or discard it."),
}


def close_answered(job: Job, plan: Plan, documents: Sequence[UUID], *, now: datetime) -> None:
    """All steps of these documents are done."""
    if documents:
        with transaction.atomic(), server_cursor() as cursor:
            begin_short(cursor)
            cursor.execute(_ANSWERED, {"job": job.id, "step": plan.result_step.name, "documents": list(documents), "now": now})


def close_dead(job: Job, steps: Sequence[str], documents: Sequence[UUID], *, now: datetime) -> int:
    """Something of these documents died, and nothing of them is open; unless somebody has it run again at this moment."""
    if not documents:
        return 0
    with transaction.atomic(), server_cursor() as cursor:
        # A rerun holds the row, too, while it opens documents again.
        Job.objects.select_for_update(no_key=True).get(id=job.id)
        begin_short(cursor)
        cursor.execute(_DIED, {"job": job.id, "steps": list(steps), "documents": list(documents), "now": now})
        return cursor.rowcount


def close_refused(refused: Sequence[Refusal], *, now: datetime) -> int:
    """These can't be asked, or couldn't be read."""
    if not refused:
        return 0
    columns = [[getattr(one, name) for one in refused] for name in ("document_id", "step", "code", "message")]
    with server_cursor() as cursor:
        cursor.execute(_REFUSED, (now, *columns))
        return cursor.rowcount


def close_with_job(job: Job, item_id: UUID, *, now: datetime) -> None:
    """The answer to all documents together is that of each."""
    JobDocument.objects.filter(job=job, state=DocumentState.OPEN).update(state=DocumentState.ANSWERED, answer_item_id=item_id, ended_at=now)


def close_left(job: Job, status: JobStatus, *, now: datetime) -> None:
    """The job ends; whatever is open of its documents ends with it."""
    open_ones = JobDocument.objects.filter(job=job, state=DocumentState.OPEN)
    if not open_ones.exists():
        return
    code, message = _ENDS[status]
    step = next(iter(_asked_together(job)), "") if status == JobStatus.COMPLETED else ""
    with server_cursor() as cursor:
        cursor.execute(_DIED_TOGETHER, (job.id,))
        if status == JobStatus.COMPLETED and (died := cursor.fetchone()) is not None:
            step, code, message = died
    open_ones.update(state=DocumentState.FAILED, step=step, error_code=code, error_message=message, ended_at=now)


def reopen_documents(job_id: UUID, item_ids: Sequence[UUID]) -> None:
    """The documents of dead items that run again, and those that only waited for these, are on their way again. The job is locked."""
    job = Job.objects.select_related("recipe").get(id=job_id)
    if job.recipe is not None:
        with server_cursor() as cursor:
            cursor.execute(_REOPEN, {"job": job.id, "items": list(item_ids), "together": _asked_together(job)})


def _asked_together(job: Job) -> list[str]:
    return [step.name for step in steps_of_job(load_plan(job.recipe.plan))] if job.recipe else []
