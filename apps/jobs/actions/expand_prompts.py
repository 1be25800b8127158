"""Open a workspace's prompts for its requests; nothing is read before the first request that names one."""

from functools import partial
from uuid import UUID

from django.conf import settings

from apps.jobs.domain.prompt_use import Expand, expand_prompt
from apps.prompts.queries import find_published, open_prompt_book


def prompt_expander(workspace_id: UUID) -> Expand:
    """For a file: all lines that it is used for mean the same versions, whatever is published meanwhile."""
    return partial(expand_prompt, find=open_prompt_book(workspace_id).find, most_bytes=settings.MAX_LINE_BYTES)


def single_prompt_expander(workspace_id: UUID) -> Expand:
    """For a single call: the one version that it names is read."""
    return partial(expand_prompt, find=partial(find_published, workspace_id), most_bytes=settings.MAX_LINE_BYTES)
