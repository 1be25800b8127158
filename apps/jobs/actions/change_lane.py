"""Move a job to another lane; what is in the air stays where it is."""

from uuid import UUID

from django.db import transaction

from apps.jobs.actions.lock_batch import lock_batch, refuse_change
from apps.jobs.actions.record_change import record_change
from apps.jobs.actions.ring import ring
from apps.jobs.domain.lifecycle import JobStatus, Lane
from apps.jobs.models import Job
from apps.lib.http_errors import ApiError

_OPEN = {JobStatus.VALIDATING, JobStatus.RUNNING, JobStatus.PAUSED}


def change_lane(*, workspace_id: UUID, public_id: str, lane: str, reason: str = "") -> Job:
    """The job with what waits of it in `lane`; ApiError 400 for another word, 404 for an unknown job, 409 for one that has ended.

    An item's own lane is the one in which it was claimed last.
    """
    if lane not in set(Lane):
        raise ApiError(400, "invalid_lane", f"There is no lane '{lane}'; choose one of {', '.join(Lane)}.", param="lane")
    with transaction.atomic():
        job = lock_batch(workspace_id=workspace_id, public_id=public_id)
        if job.status not in _OPEN:
            raise refuse_change(job, "moved to another lane")
        if job.lane != lane:
            record_change(job, "moved to another lane", before={"lane": job.lane}, after={"lane": lane}, reason=reason)
            job.lane = lane
            job.save(update_fields=["lane"])
            if job.status == JobStatus.RUNNING:
                ring(lane=lane, job_id=job.id)
    return job
