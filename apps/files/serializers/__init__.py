"""Files at the HTTP edge: OpenAI's File object, and the native one."""

from apps.files.serializers.native import NativeFileSerializer
from apps.files.serializers.openai import FileDeletedSerializer, FileListSerializer, FileSerializer, UploadSerializer

__all__ = ["FileDeletedSerializer", "FileListSerializer", "FileSerializer", "NativeFileSerializer", "UploadSerializer"]
