"""Archive a version: it can't be used any more, until it is published again."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.lib.http_errors import GIVE_UP, ApiError
from apps.prompts.actions.lock_prompt import lock_prompt, record_prompt_change, version_to_change
from apps.prompts.models import PromptVersion, VersionState


@transaction.atomic
def archive_version(*, workspace_id: UUID, prompt_id: UUID, number: int, now: datetime) -> PromptVersion:
    """Of the current version the prompt has none then: requests without a number are refused. ApiError 409 for a draft."""
    prompt = lock_prompt(workspace_id=workspace_id, prompt_id=prompt_id)
    version = version_to_change(prompt, number)
    if version.state == VersionState.DRAFT:
        raise ApiError(409, "not_published", f"Version {number} is a draft; only published versions are archived.", headers=GIVE_UP)
    if version.state == VersionState.ARCHIVED:
        return version
    version.state, version.archived_at = VersionState.ARCHIVED, now
    version.save(update_fields=["state", "archived_at"])
    before = {"state": "published", "current version": prompt.current_number}
    if prompt.current_number == number:
        prompt.current_number = None
    prompt.updated_at = now
    prompt.save(update_fields=["current_number", "updated_at"])
    record_prompt_change(
        prompt, "archived", before=before, after={"number": number, "state": "archived", "current version": prompt.current_number}
    )
    return version
