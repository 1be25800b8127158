"""End jobs whose time has run out, and ring again for closes that were not heard. Called by the sweep."""

from django.db import connection, transaction
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from apps.jobs.actions.cancel_item import cancel_item
from apps.jobs.actions.close_documents import close_left
from apps.jobs.actions.publish_end import publish_end
from apps.jobs.domain.intake import LineError
from apps.jobs.domain.lifecycle import JobStatus
from apps.jobs.models import Job
from apps.lib.enqueue import enqueue

_NEVER_VALIDATED = LineError("batch_expired", "The batch could not be validated within its completion window; submit it again.")
_NEVER_READ = LineError("batch_expired", "Its documents were not all read within its completion window; submit it again.")
# Items that were given back by a pump after the close, and closes whose message was lost.
_UNCLOSED = """
SELECT id FROM jobs_job AS job
WHERE ended_at IS NULL AND kind <> 'single' AND (status = 'cancelling' OR (status = 'finishing' AND closes_as = 'expired'))
  AND EXISTS (SELECT 1 FROM jobs_item WHERE job_id = job.id AND state = 'waiting')
LIMIT 20
"""
# Calls whose web process died with their callers: nobody waits for the answer, so it is not worth paying for.
_OVERDUE_CALLS = """
SELECT item.id FROM jobs_job AS job JOIN jobs_item AS item ON item.job_id = job.id
WHERE job.ended_at IS NULL AND job.kind = 'single' AND job.expires_at <= statement_timestamp() AND item.state = 'waiting'
LIMIT 500
"""


def _fail_unvalidated() -> None:
    """Those whose validation took longer than they had."""
    with transaction.atomic():
        late = Job.objects.select_for_update(no_key=True, skip_locked=True).filter(
            status=JobStatus.VALIDATING, ended_at=None, expires_at__lte=Now()
        )
        for job in late:
            why = _NEVER_READ if job.kind == "documents" else _NEVER_VALIDATED
            job.status, job.ended_at, job.errors = JobStatus.FAILED, timezone.now(), [why.as_json()]
            job.save(update_fields=["status", "ended_at", "errors"])
            if job.kind == "documents":
                close_left(job, JobStatus.FAILED, now=job.ended_at)
            publish_end(job, JobStatus.FAILED, now=job.ended_at)


def expire_jobs() -> int:
    """Nothing of an expired job is claimed any more; what is in the air is settled. Returns how many closes were rung for."""
    due = Job.objects.filter(ended_at=None, expires_at__lte=Now()).exclude(kind="single")
    _fail_unvalidated()
    due.filter(status__in=[JobStatus.RUNNING, JobStatus.PAUSED]).update(
        status=JobStatus.FINISHING, closes_as=JobStatus.EXPIRED, finishing_at=Coalesce("finishing_at", Now())
    )
    with connection.cursor() as cursor:
        cursor.execute(_UNCLOSED)
        unclosed = [row[0] for row in cursor.fetchall()]
        cursor.execute(_OVERDUE_CALLS)
        overdue = [row[0] for row in cursor.fetchall()]
    for item_id in overdue:
        cancel_item(item_id=item_id)
    for job_id in unclosed:
        enqueue("jobs.close_job", queue="control", job_id=str(job_id))
    return len(unclosed)
