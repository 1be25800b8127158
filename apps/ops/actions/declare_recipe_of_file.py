"""Declare one recipe of the file of `manage.py apply`."""

from datetime import datetime

from apps.accounts.actions import ensure_workspace
from apps.jobs.actions import declare_recipe
from apps.lib.http_errors import ApiError
from apps.ops.domain.config_file import ConfigInvalidError, RecipeEntry


def declare_recipe_of_file(entry: RecipeEntry, now: datetime) -> list[str]:
    """What was changed, in a line; a workspace that is missing is made. ConfigInvalidError names the field that is wrong."""
    try:
        made = declare_recipe(
            workspace_id=ensure_workspace(name=entry.workspace).id,
            name=entry.name,
            kind=entry.kind,
            declared=entry.declared,
            description=entry.description,
            now=now,
        )
    except ApiError as refused:
        raise ConfigInvalidError(f"[[recipes]] {entry.name}: {refused.message}") from refused
    return [f"recipe {made.recipe} of {entry.workspace}: {entry.kind}"] if made.is_new else []
