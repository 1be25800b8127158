"""Files as the OpenAI API shows them."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.files.domain.upload import LONGEST_SECONDS, SHORTEST_SECONDS, UPLOAD_PURPOSES
from apps.files.models import File, Purpose


@extend_schema_field(OpenApiTypes.BINARY)
class BytesField(serializers.FileField):
    """A file in a form. By itself the schema would tell it as the address that answers have in its place."""


# What requests look like is told here for the schema alone; domain/ judges them. Docstrings stand in the schema, for callers.


class UploadSerializer(serializers.Serializer[Any]):
    """A file with what it is for."""

    file = BytesField(help_text="With its name; a text without one is not taken for a file.")
    purpose = serializers.ChoiceField(choices=UPLOAD_PURPOSES)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        # Names that Python has no way to write.
        return super().get_fields() | {
            "expires_after[anchor]": serializers.ChoiceField(choices=["created_at"], required=False),
            "expires_after[seconds]": serializers.IntegerField(
                required=False,
                min_value=SHORTEST_SECONDS,
                max_value=LONGEST_SECONDS,
                help_text="Goes with `expires_after[anchor]`. Without it batch files are kept for 30 days, or as the operator chose.",
            ),
        }


class FileSerializer(serializers.Serializer[File]):
    """The File object; times in whole Unix seconds."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["file"])
    bytes = serializers.IntegerField()
    created_at = serializers.IntegerField()
    expires_at = serializers.IntegerField(allow_null=True)
    filename = serializers.CharField()
    purpose = serializers.ChoiceField(choices=Purpose.values)
    status = serializers.ChoiceField(choices=["processed"])
    status_details = serializers.CharField(allow_null=True)

    def to_representation(self, instance: File) -> dict[str, Any]:
        return {
            "id": instance.public_id,
            "object": "file",
            "bytes": instance.size_bytes,
            "created_at": int(instance.created_at.timestamp()),
            "expires_at": int(instance.expires_at.timestamp()) if instance.expires_at else None,
            "filename": instance.filename,
            "purpose": instance.purpose,
            "status": "processed",
            "status_details": None,
        }


class FileListSerializer(serializers.Serializer[Any]):
    """OpenAI's list object."""

    object = serializers.ChoiceField(choices=["list"])
    data = FileSerializer(many=True)  # type: ignore[assignment]  # the API's name hides an attribute that only input uses
    first_id = serializers.CharField(allow_null=True)
    last_id = serializers.CharField(allow_null=True)
    has_more = serializers.BooleanField()


class FileDeletedSerializer(serializers.Serializer[Any]):
    """What DELETE answers."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["file"])
    deleted = serializers.BooleanField()
