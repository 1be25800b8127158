"""Declare a recipe: what is said before already keeps its number, anything else is the next one of its name."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from django.db import transaction

from apps.accounts.queries import lock_workspace
from apps.jobs.actions.record_recipe import record_recipe_change
from apps.jobs.domain.recipe import NAME, NAME_RULE, Plan
from apps.jobs.domain.recipe_fields import RecipeRefusedError
from apps.jobs.domain.recipe_reading import ReadRecipe, read_recipe
from apps.jobs.models import Recipe
from apps.jobs.queries.recipes import recipes_of
from apps.lib.http_errors import GIVE_UP, ApiError
from apps.prompts.queries import find_published
from apps.providers.queries import cache_times, find_callable

MOST_NAMES = 1000
MOST_NUMBERS = 10_000


@dataclass(frozen=True, slots=True)
class Declaration:
    """The recipe, and whether it got a new number."""

    recipe: Recipe
    is_new: bool


@transaction.atomic
def declare_recipe(
    *,
    workspace_id: UUID,
    name: str,
    kind: str,
    declared: Mapping[str, Any],
    description: str = "",
    created_by_id: UUID | None = None,
    now: datetime,
) -> Declaration:
    """ApiError 400 names the field that is wrong and what to do; 409 when the workspace has as many recipes as it may."""
    if not NAME.fullmatch(name):
        raise ApiError(400, "invalid_value", NAME_RULE, param="name")
    lock_workspace(workspace_id)
    read = _read(workspace_id, kind, declared)
    newest = recipes_of(workspace_id).filter(name=name).order_by("-number").first()
    if newest is not None and newest.archived_at is None and _says(newest, kind, read):
        return Declaration(_described(newest, description), is_new=False)
    recipe = Recipe(
        workspace_id=workspace_id,
        name=name,
        number=newest.number + 1 if newest else 1,
        kind=kind,
        description=description,
        declared=read.declared,
        plan=read.plan.as_text(),
        created_by_id=created_by_id,
        created_at=now,
    )
    _require_room(recipe)
    recipe.save(force_insert=True)
    record_recipe_change(recipe, "declared", after={"name": name, "number": recipe.number, "kind": kind, "description": description})
    return Declaration(recipe, is_new=True)


def _read(workspace_id: UUID, kind: str, declared: Mapping[str, Any]) -> ReadRecipe:
    try:
        read = read_recipe(
            kind, declared, find_prompt=lambda prompt, number: find_published(workspace_id, prompt, number), times=cache_times()
        )
        _require_models(kind, read.plan)
    except RecipeRefusedError as refused:
        raise ApiError(400, "invalid_value", refused.message, param=refused.field) from refused
    return read


def _require_models(kind: str, plan: Plan) -> None:
    """Somebody must be able to answer for each model when the recipe is declared; jobs look again."""
    named = [(f"steps.{step.name}.model" if kind == "steps" else "model", step.model) for step in plan.steps]
    for field, model in [*named, *([("first_model", plan.policy.first_model)] if plan.policy.first_model else [])]:
        if find_callable(model) is None:
            raise RecipeRefusedError(
                field, f"{field} names {model[:100]!r}, which does not exist here; GET /v1/models lists those that do."
            )


def _says(recipe: Recipe, kind: str, read: ReadRecipe) -> bool:
    """Whether it says the same already. The order of a schema's keys is told to models, and is part of the plan; that of fields is not."""
    is_same = recipe.kind == kind and recipe.plan == read.plan.as_text()
    return is_same and bool(orjson.loads(recipe.declared) == orjson.loads(read.declared))


def _described(recipe: Recipe, description: str) -> Recipe:
    """What a recipe is for is no part of what it says."""
    if description and description != recipe.description:
        before, recipe.description = recipe.description, description
        recipe.save(update_fields=["description"])
        record_recipe_change(recipe, "described", before={"description": before}, after={"description": description})
    return recipe


def _require_room(recipe: Recipe) -> None:
    if recipe.number > MOST_NUMBERS:
        raise ApiError(409, "too_many_versions", f"A recipe has at most {MOST_NUMBERS:,} numbers; use another name.", headers=GIVE_UP)
    if recipe.number == 1 and recipes_of(recipe.workspace_id).filter(number=1).count() >= MOST_NAMES:
        raise ApiError(409, "too_many_recipes", f"A workspace has at most {MOST_NAMES:,} recipes.", headers=GIVE_UP)
