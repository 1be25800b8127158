"""Files as the OpenAI API shows them."""

from typing import Any

from rest_framework import serializers

from apps.files.domain.upload import UPLOAD_PURPOSES
from apps.files.models import File, Purpose


class UploadSerializer(serializers.Serializer[Any]):
    """The form that POST /v1/files takes; for the schema (domain/upload.py judges)."""

    file = serializers.FileField()
    purpose = serializers.ChoiceField(choices=UPLOAD_PURPOSES)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        # Names that Python has no way to write.
        return super().get_fields() | {
            "expires_after[anchor]": serializers.ChoiceField(choices=["created_at"], required=False),
            "expires_after[seconds]": serializers.IntegerField(required=False),
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
    """OpenAI's list object; for the schema (lib/pages.py makes it)."""

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
