"""Dry-run a batch: judge the request as submitting it does, look at its file, and tell what would come of it. Writes nothing."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from apps.files.queries import FileGoneError
from apps.jobs.actions.foresee import Intent, foresee
from apps.jobs.actions.preview_upload import Preview, Whose, preview_batch
from apps.jobs.actions.submit_batch import judge_submission
from apps.jobs.actions.validate_job import FILE_GONE
from apps.jobs.domain.foresight import Foresight
from apps.jobs.domain.submission import Submission


@dataclass(frozen=True, slots=True)
class DryRun:
    """What was asked for, what was seen of the file, and what is foreseen (None when lines are wrong)."""

    submission: Submission
    preview: Preview
    foresight: Foresight | None
    at: datetime


def dry_run_batch(*, workspace_id: UUID, api_key_id: UUID | None, sees_amounts: bool, values: object, now: datetime) -> DryRun:
    """ApiError as `submit_batch` raises it; what is wrong with lines stands in the preview, in the words of a batch that failed."""
    submission, file_id = judge_submission(workspace_id=workspace_id, values=values)
    whose = Whose(workspace_id, submission.feature)
    try:
        preview = preview_batch(file_id=file_id, now=now, policy=submission.policy, endpoint=submission.endpoint, whose=whose)
    except FileGoneError:
        preview = Preview(endpoint=submission.endpoint, errors=[FILE_GONE], error_count=1, is_readable=False)
    intent = Intent(workspace_id, submission.lane, api_key_id, submission.max_cost_usd, sees_amounts)
    return DryRun(submission, preview, None if preview.error_count else foresee(preview, intent, now=now), now)
