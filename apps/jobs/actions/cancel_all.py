"""Cancel whatever is open in a workspace that is being deleted."""

from datetime import datetime
from uuid import UUID

from apps.jobs.actions.cancel_job import cancel_job
from apps.jobs.domain.lifecycle import JobStatus
from apps.jobs.models import Job
from apps.lib.http_errors import ApiError


def cancel_all(*, workspace_id: UUID, now: datetime, reason: str) -> int:
    """How many jobs have not ended yet: what is in the air is settled and charged first, and single calls end by themselves."""
    jobs = Job.objects.filter(workspace_id=workspace_id, ended_at=None)
    for job in jobs.exclude(kind="single").exclude(status=JobStatus.CANCELLING):
        try:
            cancel_job(workspace_id=workspace_id, public_id=job.public_id, now=now, reason=reason)
        except ApiError:
            # It has ended meanwhile.
            continue
    return jobs.count()
