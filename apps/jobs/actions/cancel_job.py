"""Cancel a job: from now on nothing of it is claimed; what is in the air is settled and charged."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.jobs.actions.lock_batch import lock_batch, refuse_change
from apps.jobs.actions.record_change import record_change
from apps.jobs.domain.lifecycle import JOB_TRANSITIONS, JobStatus
from apps.jobs.models import Job
from apps.lib.enqueue import enqueue


def cancel_job(*, workspace_id: UUID, public_id: str, now: datetime, reason: str = "") -> Job:
    """Cancel, or leave a cancelled one as it is; ApiError 404 for an unknown job, 409 for one that has ended otherwise."""
    with transaction.atomic():
        job = lock_batch(workspace_id=workspace_id, public_id=public_id)
        status = JobStatus(job.status)
        if status in {JobStatus.CANCELLING, JobStatus.CANCELLED}:
            return job
        if JobStatus.CANCELLING not in JOB_TRANSITIONS[status]:
            raise refuse_change(job, "cancelled")
        job.status = JobStatus.CANCELLING
        job.cancelling_at = now
        job.save(update_fields=["status", "cancelling_at"])
        record_change(job, "cancelled", before={"status": status}, after={"status": job.status}, reason=reason)
        enqueue("jobs.close_job", queue="control", job_id=str(job.id))
    return job
