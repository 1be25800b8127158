"""Tell the outside that a batch has ended: the event is written in the transaction that ends it."""

from datetime import datetime

from apps.jobs.domain.lifecycle import JobStatus
from apps.jobs.models import Job
from apps.webhooks.actions import publish_event
from apps.webhooks.domain.events import EventType

_EVENTS = {
    JobStatus.COMPLETED: EventType.BATCH_COMPLETED,
    JobStatus.FAILED: EventType.BATCH_FAILED,
    JobStatus.EXPIRED: EventType.BATCH_EXPIRED,
    JobStatus.CANCELLED: EventType.BATCH_CANCELLED,
}


def publish_end(job: Job, status: JobStatus, *, now: datetime) -> None:
    """Once for each revision of a job, however often it is finished; a rerun that completes is told again."""
    publish_event(
        workspace_id=job.workspace_id,
        event_type=_EVENTS[status],
        subject_id=job.id,
        occurrence=job.revision,
        data={"id": job.public_id},
        now=now,
    )
