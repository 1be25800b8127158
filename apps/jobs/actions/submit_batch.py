"""Submit a batch: judge the request, write the job, and ring for its validation. The file itself is read by a worker."""

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from apps.files.queries import find_file
from apps.jobs.actions.record_change import record_change
from apps.jobs.actions.require_room import require_room
from apps.jobs.domain.lifecycle import JobStatus
from apps.jobs.domain.submission import COMPLETION_WINDOW_SECONDS, Submission, SubmissionRefusedError, read_submission
from apps.jobs.models import BATCH_PREFIX, Job
from apps.lib.enqueue import enqueue
from apps.lib.http_errors import ApiError
from apps.lib.ids import parse_public_id
from apps.providers.domain.catalogue import UNPRICED, WITHOUT_PRICE
from apps.providers.domain.policy import AnswerPolicy, load_policy
from apps.providers.queries import cache_times, find_callable, list_unpriced_models
from apps.spend.actions import make_job_budget


def submit_batch(*, workspace_id: UUID, api_key_id: UUID | None, values: object, now: datetime, created_by_id: UUID | None = None) -> Job:
    """Take in the decoded body of `POST /v1/batches`; ApiError (400) names the parameter that is wrong."""
    submission, file_id = judge_submission(workspace_id=workspace_id, values=values)
    reuses_job_id = find_reusable(
        submission.reuse, workspace_id=workspace_id, endpoint=submission.endpoint, policy=submission.policy, param="metadata.reuse"
    )
    require_room(submission.lane)
    with transaction.atomic():
        job = Job.objects.create(
            workspace_id=workspace_id,
            api_key_id=api_key_id,
            created_by_id=created_by_id,
            kind="batch",
            status=JobStatus.VALIDATING,
            lane=submission.lane,
            endpoint=submission.endpoint,
            feature=submission.feature,
            metadata=submission.metadata,
            max_cost_usd=submission.max_cost_usd,
            on_budget=submission.on_budget,
            policy=submission.policy.as_json(),
            first_model_name=submission.policy.first_model,
            reuses_job_id=reuses_job_id,
            input_file_id=file_id,
            output_expires_after_seconds=submission.output_expires_after_seconds,
            created_at=now,
            expires_at=now + timedelta(seconds=COMPLETION_WINDOW_SECONDS),
        )
        make_job_budget(workspace_id=workspace_id, job_id=job.id, cap_usd=job.max_cost_usd)
        record_change(job, "submitted", after={"lane": job.lane, "endpoint": job.endpoint, "feature": job.feature})
        enqueue("jobs.validate_job", queue="ingest", job_id=str(job.id))
    return job


def judge_submission(*, workspace_id: UUID, values: object) -> tuple[Submission, UUID]:
    """The request, and the id of its file; ApiError (400) names the parameter that is wrong."""
    try:
        submission = read_submission(values, times=cache_times())
    except SubmissionRefusedError as refused:
        raise ApiError(400, refused.code, refused.message, param=refused.param) from refused
    require_first_model(submission.policy.first_model, param="metadata.first_model")
    return submission, _input_file_id(workspace_id, submission.input_file_id)


def find_reusable(text: str, *, workspace_id: UUID, endpoint: str, policy: AnswerPolicy, param: str) -> UUID | None:
    """The job whose answers are to be taken over, None when none is named; ApiError 400 when its answers can't stand for these."""
    if not text:
        return None
    job_id = parse_public_id(BATCH_PREFIX, text)
    job = Job.objects.filter(id=job_id, workspace_id=workspace_id).exclude(kind="single").first() if job_id else None
    if job is None:
        message = f"No such batch: {text[:100]!r}. Name the batch whose answers are to be taken over, as in 'batch_0190...'."
        raise ApiError(400, "batch_not_found", message, param=param)
    if job.endpoint != endpoint:
        message = f"{text} asked {job.endpoint}; answers of another endpoint can't stand for those of {endpoint}."
        raise ApiError(400, "invalid_value", message, param=param)
    if load_policy(job.policy) != policy:
        asked = load_policy(job.policy).in_words() or "plainly"
        message = f"{text} came by its answers otherwise ({asked}). Submit this one with the same settings, or without '{param}'."
        raise ApiError(400, "invalid_value", message, param=param)
    return job.id


def require_first_model(name: str, *, param: str) -> UUID | None:
    """The model that is to be asked first, None when there is none; ApiError 400 when nobody can answer for it."""
    if not name:
        return None
    model = find_callable(name)
    if model is None:
        message = f"The model {name[:100]!r} does not exist or you do not have access to it. GET /v1/models lists those that do."
        raise ApiError(400, "model_not_found", message, param=param)
    require_price(model.id, param=param)
    return model.id


def require_price(model_id: UUID, *, param: str) -> None:
    """ApiError 400 when the model has no price, and calls without one are refused."""
    if model_id in list_unpriced_models():
        raise ApiError(400, UNPRICED, WITHOUT_PRICE, param=param)


def _input_file_id(workspace_id: UUID, public_id: str) -> UUID:
    """A file of another workspace is told no differently from one that does not exist."""
    file = find_file(workspace_id=workspace_id, public_id=public_id)
    if file is None:
        message = f"No such file: {public_id[:100]!r}. Upload it with purpose 'batch' first; expired and deleted files can't be used."
        raise ApiError(400, "file_not_found", message, param="input_file_id")
    if file.purpose != "batch":
        message = f"The file {public_id!r} has purpose {file.purpose!r}; upload it with purpose 'batch'."
        raise ApiError(400, "invalid_purpose", message, param="input_file_id")
    return file.id
