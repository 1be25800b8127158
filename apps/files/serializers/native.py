"""Files in the native API."""

from rest_framework import serializers

from apps.files.models import File


class NativeFileSerializer(serializers.ModelSerializer[File]):
    """One file's facts; `sha256` is of its bytes."""

    id = serializers.CharField(source="public_id")

    class Meta:
        model = File
        fields = ["id", "filename", "purpose", "size_bytes", "sha256", "created_at", "expires_at"]
        read_only_fields = fields
