"""Archive a recipe: new jobs can't use it; those that have begun go on by it."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.jobs.actions.record_recipe import record_recipe_change
from apps.jobs.models import Recipe
from apps.jobs.queries.recipes import no_such_recipe, recipes_of


@transaction.atomic
def archive_recipe(*, workspace_id: UUID, recipe_id: UUID, now: datetime) -> Recipe:
    """One number of its name; a second time it answers the same. ApiError 404 when there is none."""
    recipe = recipes_of(workspace_id).select_for_update(no_key=True).filter(id=recipe_id).first()
    if recipe is None:
        raise no_such_recipe(str(recipe_id))
    if recipe.archived_at is None:
        recipe.archived_at = now
        recipe.save(update_fields=["archived_at"])
        record_recipe_change(recipe, "archived", after={"number": recipe.number})
    return recipe
