"""Find recipes."""

import re
from collections.abc import Sequence
from uuid import UUID

from django.db.models import F, QuerySet

from apps.jobs.domain.recipe import NAME
from apps.jobs.models import RECIPE_PREFIX, Recipe
from apps.lib.http_errors import ApiError
from apps.lib.ids import parse_public_id

_REFERENCE = re.compile(rf"({NAME.pattern})(?:@([1-9][0-9]{{0,8}}))?")


def recipes_of(workspace_id: UUID) -> QuerySet[Recipe]:
    """A workspace's recipes, every number of each name."""
    return Recipe.objects.filter(workspace_id=workspace_id)


def find_recipe(*, workspace_id: UUID, name: str) -> Recipe:
    """By its public id, as `name@3`, or by its name: then the newest number that isn't archived, or the newest if all are.

    ApiError 404 when there is none, told no differently for another workspace's.
    """
    key = parse_public_id(RECIPE_PREFIX, name)
    recipes = recipes_of(workspace_id)
    recipe = recipes.filter(id=key).first() if key else None
    if recipe is None and (told := _REFERENCE.fullmatch(name)):
        numbers = recipes.filter(name=told.group(1), **({"number": int(told.group(2))} if told.group(2) else {}))
        recipe = numbers.order_by(F("archived_at").desc(nulls_first=True), "-number").first()
    if recipe is None:
        raise no_such_recipe(name)
    return recipe


def usable_recipes(workspace_ids: Sequence[UUID]) -> QuerySet[Recipe]:
    """Of these workspaces: the newest number of each name that isn't archived, by name."""
    usable = Recipe.objects.filter(workspace_id__in=workspace_ids, archived_at=None)
    newest = usable.order_by("workspace_id", "name", "-number").distinct("workspace_id", "name")
    return Recipe.objects.filter(id__in=newest.values("id")).order_by("name", "workspace_id")


def no_such_recipe(name: str) -> ApiError:
    """The refusal for a name that the caller has no recipe for."""
    return ApiError(404, "not_found", f"No such recipe: {name[:100]!r}.")
