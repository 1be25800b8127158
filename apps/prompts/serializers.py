"""Prompts and their versions at the HTTP edge."""

from typing import Any

import orjson
from django.core.validators import RegexValidator
from rest_framework import serializers

from apps.lib.strict_fields import BlankTextField, TextField, WholeField
from apps.prompts.domain.content import MOST_CHARACTERS, NAME, NAME_RULE
from apps.prompts.domain.variables import MOST_VARIABLES
from apps.prompts.models import Prompt, PromptVersion


class PromptSerializer(serializers.ModelSerializer[Prompt]):
    """A prompt. `current_version` is what requests get that name no version; null: nothing is published."""

    id = serializers.CharField(source="public_id", read_only=True)
    current_version = serializers.IntegerField(source="current_number", read_only=True, allow_null=True)

    class Meta:
        model = Prompt
        fields = ["id", "name", "description", "current_version", "created_at", "updated_at"]
        read_only_fields = fields


class PromptRequestSerializer(serializers.Serializer[Any]):
    """What a new prompt is called."""

    name = TextField(
        trim_whitespace=False, max_length=50, validators=[RegexValidator(rf"^{NAME.pattern}$", NAME_RULE)], help_text=NAME_RULE
    )
    description = BlankTextField(max_length=500, default="", help_text="What it is for.")


class _JsonTextField(serializers.DictField):
    """An object that is kept as it was written; an empty text is none."""

    def to_representation(self, value: Any) -> Any:
        return orjson.loads(value) if value else None


class PromptVersionSerializer(serializers.ModelSerializer[PromptVersion]):
    """One version. Its number is what requests name; what it says never changes once it is published."""

    version = serializers.IntegerField(source="number", read_only=True)
    variables = serializers.ListField(child=serializers.DictField(), read_only=True)
    parameters = _JsonTextField(read_only=True)
    output_schema = _JsonTextField(read_only=True, allow_null=True)
    model = serializers.CharField(source="model_name", read_only=True, help_text="Empty: whoever asks names one.")

    class Meta:
        model = PromptVersion
        fields = [
            *("version", "state", "system", "user", "variables", "model", "parameters", "output_schema", "note"),
            *("created_at", "updated_at", "published_at", "archived_at"),
        ]
        read_only_fields = fields


class DraftRequestSerializer(serializers.Serializer[Any]):
    """What the draft says from now on; what is left out is empty."""

    system = BlankTextField(max_length=MOST_CHARACTERS, default="", help_text="With `{{ name }}` for variables.")
    user = BlankTextField(max_length=MOST_CHARACTERS, default="", help_text="With `{{ name }}` for variables.")
    variables = serializers.ListField(
        child=serializers.DictField(),
        max_length=MOST_VARIABLES,
        required=False,
        default=list,
        help_text="Each with `name`, `type` (text, number, boolean, choice, json), `required`, `default`, `choices`, `description`.",
    )
    model = BlankTextField(max_length=200, default="", help_text="Left out: whoever asks names one.")
    parameters = serializers.DictField(required=False, default=dict, help_text="Like `temperature` and `max_tokens`.")
    output_schema = serializers.DictField(
        required=False, allow_null=True, default=None, help_text="A JSON schema; it becomes the request's `response_format`."
    )
    note = BlankTextField(max_length=500, default="", help_text="What is different in it.")


class PublishRequestSerializer(serializers.Serializer[Any]):
    """Which version; without one the draft."""

    version = WholeField(min_value=1, max_value=2**31 - 1, required=False, allow_null=True, default=None)


class ArchiveRequestSerializer(serializers.Serializer[Any]):
    """Which version."""

    version = WholeField(min_value=1, max_value=2**31 - 1)
