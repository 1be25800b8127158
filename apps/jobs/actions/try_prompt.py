"""Try a version of a prompt out on a sample: a job of one request, by the same way as all work, with its cost like all work."""

from datetime import datetime
from uuid import UUID

import orjson

from apps.files.actions import create_file
from apps.jobs.actions.preview_upload import Preview, Whose, preview_request
from apps.jobs.actions.submit_batch import submit_batch
from apps.jobs.domain.prompt_use import CHAT
from apps.jobs.domain.submission import COMPLETION_WINDOW
from apps.jobs.models import Job
from apps.prompts.domain.content import PublishedPrompt, make_body

FEATURE = "prompt try-out"
_KEPT_SECONDS = 24 * 3600


def preview_prompt(*, workspace_id: UUID, prompt: PublishedPrompt, model: str, values: dict[str, object], now: datetime) -> Preview:
    """What would be asked, and what it may cost; nothing is. VariableRefusedError names the value that doesn't fit."""
    body = make_body(prompt, {"model": model}, values)
    return preview_request(body=body, now=now, whose=Whose(workspace_id, FEATURE))


def try_prompt(
    *,
    workspace_id: UUID,
    created_by_id: UUID,
    prompt: PublishedPrompt,
    is_draft: bool,
    model: str,
    values: dict[str, object],
    now: datetime,
) -> Job:
    """VariableRefusedError names the value that doesn't fit. A draft may change, so what it answered is kept apart from the version's."""
    body = make_body(prompt, {"model": model}, values)
    label = f"{prompt.label}-draft" if is_draft else prompt.label
    line = orjson.dumps({"custom_id": "sample", "method": "POST", "url": CHAT, "body": body}) + b"\n"
    file = create_file(
        workspace_id=workspace_id,
        api_key_id=None,
        purpose="batch",
        filename=f"{label}.jsonl",
        content=[line],
        expires_after_seconds=_KEPT_SECONDS,
        now=now,
    )
    request = {
        "input_file_id": file.public_id,
        "endpoint": CHAT,
        "completion_window": COMPLETION_WINDOW,
        "metadata": {"priority": "interactive", "feature": FEATURE, "prompt_version": label},
    }
    return submit_batch(workspace_id=workspace_id, api_key_id=None, created_by_id=created_by_id, values=request, now=now)
