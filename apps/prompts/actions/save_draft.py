"""Save a prompt's draft: the one there is, or a new version."""

from datetime import datetime
from uuid import UUID

import orjson
from django.db import transaction
from django.db.models import Max

from apps.lib.http_errors import GIVE_UP, ApiError
from apps.prompts.actions.lock_prompt import lock_prompt, record_prompt_change
from apps.prompts.domain.content import PromptContent
from apps.prompts.models import PromptVersion
from apps.prompts.queries import find_draft, versions_of

MOST_VERSIONS = 10_000


@transaction.atomic
def save_draft(*, workspace_id: UUID, prompt_id: UUID, content: PromptContent, note: str = "", now: datetime) -> PromptVersion:
    """Published versions stay as they are; numbers are given once, in order."""
    prompt = lock_prompt(workspace_id=workspace_id, prompt_id=prompt_id)
    version = find_draft(prompt)
    verb = "saved draft" if version else "began draft"
    if version is None:
        number = (versions_of(prompt.id).aggregate(last=Max("number"))["last"] or 0) + 1
        if number > MOST_VERSIONS:
            raise ApiError(409, "too_many_versions", f"A prompt has at most {MOST_VERSIONS:,} versions.", headers=GIVE_UP)
        version = PromptVersion(prompt=prompt, number=number, created_at=now)
    told = content.as_json()
    version.system, version.user, version.model_name = content.system, content.user, content.model
    version.variables, version.parameters = told["variables"], orjson.dumps(told["parameters"]).decode()
    version.output_schema = "" if told["output_schema"] is None else orjson.dumps(told["output_schema"]).decode()
    version.note, version.updated_at = note, now
    version.save()
    record_prompt_change(prompt, verb, after={"number": version.number, "note": note})
    return version
