"""Lock a caller's batch or job of documents for a change, and say why a change is refused."""

from uuid import UUID

from apps.jobs.models import BATCH_PREFIX, Job
from apps.jobs.queries import jobs_of, no_such_batch
from apps.lib.http_errors import GIVE_UP, ApiError
from apps.lib.ids import parse_public_id


def lock_batch(*, workspace_id: UUID, public_id: str) -> Job:
    """The caller's job, locked until the transaction ends; ApiError 404 when there is none, or it is a single call."""
    job_id = parse_public_id(BATCH_PREFIX, public_id)
    job = jobs_of(workspace_id).exclude(kind="single").select_for_update(no_key=True).filter(id=job_id).first() if job_id else None
    if job is None:
        raise no_such_batch(public_id)
    return job


def refuse_change(job: Job, wanted: str) -> ApiError:
    """409, with the header that keeps the SDK from trying again: the answer would be the same."""
    message = f"This {'batch' if job.kind == 'batch' else 'job'} is {job.status} and can't be {wanted} any more."
    return ApiError(409, "invalid_state", message, headers=GIVE_UP)
