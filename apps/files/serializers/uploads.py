"""Uploads in parts as the OpenAI API shows them."""

from typing import Any

from rest_framework import serializers

from apps.files.domain.parts import PART_BYTES
from apps.files.domain.upload import UPLOAD_PURPOSES
from apps.files.models import Part, Upload, UploadStatus
from apps.files.serializers.openai import FileSerializer


class UploadRequestSerializer(serializers.Serializer[Any]):
    """What POST /v1/uploads takes; for the schema (domain/parts.py judges)."""

    bytes = serializers.IntegerField(min_value=1)
    filename = serializers.CharField()
    mime_type = serializers.CharField()
    purpose = serializers.ChoiceField(choices=UPLOAD_PURPOSES)
    expires_after = serializers.DictField(required=False, allow_null=True)


class PartFormSerializer(serializers.Serializer[Any]):
    """The form of a part; for the schema."""

    data = serializers.FileField(help_text=f"At most {PART_BYTES:,} bytes.")  # type: ignore[assignment]  # the API's name hides an attribute that only input uses


class CompletionSerializer(serializers.Serializer[Any]):
    """What completes an upload; for the schema (domain/parts.py judges)."""

    part_ids = serializers.ListField(child=serializers.CharField(), min_length=1)
    md5 = serializers.CharField(required=False)


class UploadObjectSerializer(serializers.Serializer[Upload]):
    """The Upload object; times in whole Unix seconds."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["upload"])
    bytes = serializers.IntegerField()
    created_at = serializers.IntegerField()
    expires_at = serializers.IntegerField()
    filename = serializers.CharField()
    purpose = serializers.ChoiceField(choices=UPLOAD_PURPOSES)
    status = serializers.ChoiceField(choices=UploadStatus.values)
    file = FileSerializer(allow_null=True)

    def to_representation(self, instance: Upload) -> dict[str, Any]:
        return {
            "id": instance.public_id,
            "object": "upload",
            "bytes": instance.size_bytes,
            "created_at": int(instance.created_at.timestamp()),
            "expires_at": int(instance.expires_at.timestamp()),
            "filename": instance.filename,
            "purpose": instance.purpose,
            "status": instance.status,
            "file": FileSerializer(instance.file).data if instance.file else None,
        }


class PartSerializer(serializers.Serializer[Part]):
    """The part object."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["upload.part"])
    created_at = serializers.IntegerField()
    upload_id = serializers.CharField()

    def to_representation(self, instance: Part) -> dict[str, Any]:
        return {
            "id": instance.public_id,
            "object": "upload.part",
            "created_at": int(instance.created_at.timestamp()),
            "upload_id": instance.upload.public_id,
        }
