"""Corrections of answers at the HTTP edge."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.jobs.actions.correct_answer import MOST_CHARACTERS
from apps.jobs.models import ITEM_PREFIX, Correction
from apps.lib.ids import public_id
from apps.lib.strict_fields import BlankTextField


@extend_schema_field(
    {"oneOf": [{"type": "string", "minLength": 1, "maxLength": MOST_CHARACTERS}, {"type": "object", "additionalProperties": True}]}
)
class AnswerField(serializers.Field[Any, Any, Any, Any]):
    """A text, or an object where the recipe has a schema."""

    default_error_messages = {"invalid": "An answer is a text, or an object where the recipe has a schema."}

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str | dict):
            self.fail("invalid")
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class CorrectionRequestSerializer(serializers.Serializer[Any]):
    """What the answer should have been, and why."""

    answer = AnswerField()
    note = BlankTextField(max_length=500, default="", help_text="Why; it stands with the correction and in the audit log.")


class CorrectionSerializer(serializers.ModelSerializer[Correction]):
    """A correction as it is kept; another one is added, never changed."""

    item = serializers.SerializerMethodField(help_text="The item whose answer it corrects.")

    class Meta:
        model = Correction
        fields = ["item", "answer", "note", "created_at"]
        read_only_fields = fields

    def get_item(self, correction: Correction) -> str:
        return public_id(ITEM_PREFIX, correction.item_id)
