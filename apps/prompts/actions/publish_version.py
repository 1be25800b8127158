"""Publish a version: requests that name no number get it from now on. Publishing an older one is how a change is rolled back."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.lib.http_errors import GIVE_UP, ApiError
from apps.prompts.actions.lock_prompt import lock_prompt, record_prompt_change, version_to_change
from apps.prompts.models import PromptVersion, VersionState
from apps.providers.queries import find_callable

DRAFT_CHANGED = "draft_changed"


@transaction.atomic
def publish_version(*, workspace_id: UUID, prompt_id: UUID, number: int, now: datetime, looked_at: str | None = None) -> PromptVersion:
    """Versions that were published before can still be used by their numbers. ApiError 400 when its model isn't there.

    `looked_at`: the mark of what was looked at; ApiError 409 when somebody has saved the draft since.
    """
    prompt = lock_prompt(workspace_id=workspace_id, prompt_id=prompt_id)
    version = version_to_change(prompt, number)
    if looked_at is not None and version.mark != looked_at:
        raise ApiError(409, DRAFT_CHANGED, f"Version {number} has been saved since you looked at it. Look again.", headers=GIVE_UP)
    if version.model_name and find_callable(version.model_name) is None:
        message = f"Version {number} names the model {version.model_name[:100]!r}, which does not exist here."
        raise ApiError(400, "model_not_found", message, param="model")
    before = {"current version": prompt.current_number}
    if version.state != VersionState.PUBLISHED:
        version.state, version.archived_at = VersionState.PUBLISHED, None
        version.published_at = version.published_at or now
        version.save(update_fields=["state", "archived_at", "published_at"])
    elif prompt.current_number == number:
        return version
    is_older = prompt.current_number is not None and number < prompt.current_number
    prompt.current_number, prompt.updated_at = number, now
    prompt.save(update_fields=["current_number", "updated_at"])
    record_prompt_change(prompt, "rolled back" if is_older else "published", before=before, after={"current version": number})
    return version
