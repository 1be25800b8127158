"""Write the change of a recipe down. What it says stands in its row, not in the audit log."""

from collections.abc import Mapping
from typing import Any

from apps.accounts.actions import record_audit
from apps.jobs.models import Recipe


def record_recipe_change(
    recipe: Recipe, verb: str, *, before: Mapping[str, Any] | None = None, after: Mapping[str, Any] | None = None
) -> None:
    """Inside the transaction of the change."""
    record_audit(
        verb=verb,
        object_type="recipe",
        object_id=recipe.id,
        object_label=str(recipe),
        workspace_id=recipe.workspace_id,
        before=before,
        after=after,
    )
