"""Make a prompt; it says nothing until a version is saved and published."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.accounts.queries import lock_workspace
from apps.lib.http_errors import GIVE_UP, ApiError
from apps.prompts.actions.lock_prompt import record_prompt_change
from apps.prompts.domain.content import NAME, NAME_RULE
from apps.prompts.models import Prompt
from apps.prompts.queries import prompts_of

MOST_PROMPTS = 1000


@transaction.atomic
def create_prompt(*, workspace_id: UUID, name: str, description: str = "", now: datetime) -> Prompt:
    """ApiError 400 for a name that isn't one, 409 when it is taken or the workspace has as many prompts as it may."""
    if not NAME.fullmatch(name):
        raise ApiError(400, "invalid_value", NAME_RULE, param="name")
    lock_workspace(workspace_id)
    prompts = prompts_of(workspace_id)
    if prompts.filter(name=name).exists():
        raise ApiError(409, "name_taken", f"There is a prompt {name!r} already.", param="name", headers=GIVE_UP)
    if prompts.count() >= MOST_PROMPTS:
        raise ApiError(409, "too_many_prompts", f"A workspace has at most {MOST_PROMPTS:,} prompts.", headers=GIVE_UP)
    prompt = Prompt(workspace_id=workspace_id, name=name, description=description, created_at=now, updated_at=now)
    prompt.save(force_insert=True)
    record_prompt_change(prompt, "created", after={"name": name, "description": description})
    return prompt
