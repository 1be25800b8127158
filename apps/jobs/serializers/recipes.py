"""Recipes at the HTTP edge."""

from typing import Any

import orjson
from django.core.validators import RegexValidator
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.jobs.domain.recipe import NAME, NAME_RULE, load_plan
from apps.jobs.domain.recipe_reading import KINDS
from apps.jobs.models import Recipe
from apps.lib.strict_fields import BlankTextField, TextField


class _KeptJsonField(serializers.DictField):
    """An object that is kept as it was written."""

    def to_representation(self, value: Any) -> Any:
        return orjson.loads(value)


class RecipeSerializer(serializers.ModelSerializer[Recipe]):
    """One number of a recipe. What it says never changes; another content is the next number of its name."""

    id = serializers.CharField(source="public_id", read_only=True)
    kind = serializers.ChoiceField(choices=KINDS, read_only=True)
    declared = _KeptJsonField(read_only=True, help_text="As it was declared.")
    steps = serializers.SerializerMethodField(help_text="What comes of it, each step after those that it uses; the last one is the result.")
    policy = serializers.SerializerMethodField(help_text="How answers are come by; null: plainly.")

    class Meta:
        model = Recipe
        fields = ["id", "name", "number", "kind", "description", "declared", "steps", "policy", "created_at", "archived_at"]
        read_only_fields = fields

    @extend_schema_field(serializers.ListField(child=serializers.DictField()))
    def get_steps(self, recipe: Recipe) -> list[dict[str, Any]]:
        return [step.as_json() for step in load_plan(recipe.plan).steps]

    @extend_schema_field(serializers.DictField(allow_null=True))
    def get_policy(self, recipe: Recipe) -> dict[str, Any] | None:
        return load_plan(recipe.plan).policy.as_json()


class RecipeRequestSerializer(serializers.Serializer[Any]):
    """A recipe to be declared. The same content again keeps its number."""

    name = TextField(
        trim_whitespace=False, max_length=50, validators=[RegexValidator(rf"^{NAME.pattern}$", NAME_RULE)], help_text=NAME_RULE
    )
    kind = serializers.ChoiceField(choices=KINDS)
    description = BlankTextField(max_length=500, default="", help_text="What it is for.")
    declared = serializers.DictField(help_text="What a recipe of this kind says: docs/recipes.md lists the fields of each.")
