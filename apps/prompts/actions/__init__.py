"""Make prompts, work on their drafts, publish and archive versions."""

from apps.prompts.actions.archive_version import archive_version
from apps.prompts.actions.create_prompt import create_prompt
from apps.prompts.actions.publish_version import publish_version
from apps.prompts.actions.save_draft import save_draft

__all__ = ["archive_version", "create_prompt", "publish_version", "save_draft"]
