"""Uploads in parts as the OpenAI API shows them."""

from typing import Any

from django.conf import settings
from rest_framework import serializers

from apps.files.domain.parts import MOST_PARTS, PART_BYTES
from apps.files.domain.upload import LONGEST_SECONDS, SHORTEST_SECONDS, UPLOAD_PURPOSES
from apps.files.models import Part, Upload, UploadStatus
from apps.files.serializers.openai import BytesField, FileSerializer

# As in openai.py: requests are told here for the schema alone, and judged in domain/.


class ExpirySerializer(serializers.Serializer[Any]):
    """How long the file is kept."""

    anchor = serializers.ChoiceField(choices=["created_at"])
    seconds = serializers.IntegerField(min_value=SHORTEST_SECONDS, max_value=LONGEST_SECONDS)


class UploadRequestSerializer(serializers.Serializer[Any]):
    """A file that is to come in parts."""

    bytes = serializers.IntegerField(min_value=1, max_value=settings.MAX_FILE_BYTES, help_text="Of the whole file.")
    filename = serializers.CharField(min_length=1)
    mime_type = serializers.CharField(min_length=1)
    purpose = serializers.ChoiceField(choices=UPLOAD_PURPOSES)
    expires_after = ExpirySerializer(required=False, allow_null=True)


class PartFormSerializer(serializers.Serializer[Any]):
    """A part of a file."""

    data = BytesField(help_text=f"At most {PART_BYTES:,} bytes.")  # type: ignore[assignment]  # the API's name hides an attribute that only input uses


class CompletionSerializer(serializers.Serializer[Any]):
    """Which parts make the file."""

    part_ids = serializers.ListField(
        child=serializers.CharField(), min_length=1, max_length=MOST_PARTS, help_text="In the order of their bytes, each once."
    )
    md5 = serializers.RegexField(
        r"^([0-9a-fA-F]{32})?$", required=False, allow_null=True, help_text="Of the whole file; a file that has another is refused."
    )


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
