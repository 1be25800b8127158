"""Lock a workspace's prompt for a change, and write the change down."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from apps.accounts.actions import record_audit
from apps.prompts.models import Prompt, PromptVersion
from apps.prompts.queries import no_such_prompt, no_such_version, prompts_of, versions_of


def lock_prompt(*, workspace_id: UUID, prompt_id: UUID) -> Prompt:
    """Locked until the transaction ends: its versions are changed by one at a time. ApiError 404 when it is gone."""
    prompt = prompts_of(workspace_id).select_for_update(no_key=True).filter(id=prompt_id).first()
    if prompt is None:
        raise no_such_prompt(str(prompt_id))
    return prompt


def version_to_change(prompt: Prompt, number: int) -> PromptVersion:
    """Of a locked prompt; ApiError 404 when there is none."""
    version = versions_of(prompt.id).filter(number=number).first()
    if version is None:
        raise no_such_version(prompt.name, number)
    return version


def record_prompt_change(
    prompt: Prompt, verb: str, *, before: Mapping[str, Any] | None = None, after: Mapping[str, Any] | None = None
) -> None:
    """Into the audit log, inside the transaction of the change. What a version says stands in its row, not here."""
    record_audit(
        verb=verb,
        object_type="prompt",
        object_id=prompt.id,
        object_label=prompt.name,
        workspace_id=prompt.workspace_id,
        before=before,
        after=after,
    )
