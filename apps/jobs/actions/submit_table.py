"""Submit a table: every row becomes a request of one job. A worker writes the batch file from it and validates that."""

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from apps.jobs.actions.record_change import record_change
from apps.jobs.actions.require_room import require_room
from apps.jobs.actions.submit_batch import find_reusable, require_first_model
from apps.jobs.domain.lifecycle import JobStatus, Lane
from apps.jobs.domain.submission import COMPLETION_WINDOW_SECONDS
from apps.jobs.domain.table_prompt import CHAT, TablePrompt
from apps.jobs.models import Job
from apps.lib.enqueue import enqueue
from apps.providers.domain.policy import PLAIN, AnswerPolicy


def submit_table(
    *,
    workspace_id: UUID,
    created_by_id: UUID,
    table_file_id: UUID,
    prompt: TablePrompt,
    lane: Lane,
    end_user: str,
    now: datetime,
    policy: AnswerPolicy = PLAIN,
    reuse: str = "",
) -> Job:
    """The job, `validating`; the same rules hold for it as for a batch from the API."""
    require_room(lane)
    require_first_model(policy.first_model, param="first_model")
    reuses_job_id = find_reusable(reuse, workspace_id=workspace_id, endpoint=CHAT, policy=policy, param="reuse")
    with transaction.atomic():
        job = Job.objects.create(
            workspace_id=workspace_id,
            created_by_id=created_by_id,
            kind="batch",
            status=JobStatus.VALIDATING,
            lane=lane,
            endpoint=CHAT,
            end_user=end_user,
            table_file_id=table_file_id,
            table=prompt.as_json(),
            policy=policy.as_json(),
            first_model_name=policy.first_model,
            reuses_job_id=reuses_job_id,
            created_at=now,
            expires_at=now + timedelta(seconds=COMPLETION_WINDOW_SECONDS),
        )
        record_change(job, "submitted", after={"lane": job.lane, "endpoint": job.endpoint, "model": prompt.model})
        enqueue("jobs.validate_job", queue="ingest", job_id=str(job.id))
    return job
