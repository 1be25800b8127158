"""Pause a job (nothing more of it is claimed), and resume it."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.jobs.actions.lock_batch import lock_batch, refuse_change
from apps.jobs.actions.record_change import record_change
from apps.jobs.actions.ring import ring
from apps.jobs.domain.lifecycle import JobStatus
from apps.jobs.models import Job


def pause_job(*, workspace_id: UUID, public_id: str, now: datetime, reason: str = "") -> Job:
    """Pause a running job, or leave a paused one as it is; ApiError 404 or 409 otherwise. Its time runs on."""
    with transaction.atomic():
        job = lock_batch(workspace_id=workspace_id, public_id=public_id)
        if job.status == JobStatus.RUNNING:
            job.status, job.paused_at = JobStatus.PAUSED, now
            job.save(update_fields=["status", "paused_at"])
            record_change(job, "paused", before={"status": JobStatus.RUNNING}, after={"status": job.status}, reason=reason)
        elif job.status != JobStatus.PAUSED:
            raise refuse_change(job, "paused")
    return job


def resume_job(*, workspace_id: UUID, public_id: str, reason: str = "") -> Job:
    """Let a paused job run again, or leave a running one as it is; ApiError 404 or 409 otherwise."""
    with transaction.atomic():
        job = lock_batch(workspace_id=workspace_id, public_id=public_id)
        if job.status == JobStatus.PAUSED:
            job.status, job.paused_at = JobStatus.RUNNING, None
            job.save(update_fields=["status", "paused_at"])
            record_change(job, "resumed", before={"status": JobStatus.PAUSED}, after={"status": job.status}, reason=reason)
            ring(lane=job.lane, job_id=job.id)
        elif job.status != JobStatus.RUNNING:
            raise refuse_change(job, "resumed")
    return job
