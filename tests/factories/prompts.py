"""Prompts and their versions."""

from typing import Any

from django.utils import timezone

from apps.accounts.models import Workspace
from apps.prompts.actions import create_prompt, publish_version, save_draft
from apps.prompts.domain.content import read_content
from apps.prompts.models import Prompt, PromptVersion
from tests.factories.accounts import make_workspace


def make_prompt(workspace: Workspace | None = None, *, name: str = "letter") -> Prompt:
    owner = workspace or make_workspace()
    return create_prompt(workspace_id=owner.id, name=name, now=timezone.now())


def make_version(prompt: Prompt | None = None, *, is_published: bool = True, **content: Any) -> PromptVersion:
    """The next version; it says hello when nothing else is said."""
    owner = prompt or make_prompt()
    told = read_content(**content or {"user": "Say hello."})
    draft = save_draft(workspace_id=owner.workspace_id, prompt_id=owner.id, content=told, now=timezone.now())
    if not is_published:
        return draft
    return publish_version(workspace_id=owner.workspace_id, prompt_id=owner.id, number=draft.number, now=timezone.now())
