"""Ring for the jobs that wait until the documents of a collection are read."""

from uuid import UUID

from apps.jobs.domain.lifecycle import JobStatus
from apps.jobs.models import Job
from apps.lib.enqueue import enqueue


def start_waiting(*, collection_id: UUID) -> int:
    """For how many it rang."""
    waiting = Job.objects.filter(ended_at=None, status=JobStatus.VALIDATING, kind="documents", collection_id=collection_id)
    ids = list(waiting.values_list("id", flat=True))
    for job_id in ids:
        enqueue("jobs.advance_job", queue="ingest", job_id=str(job_id))
    return len(ids)
