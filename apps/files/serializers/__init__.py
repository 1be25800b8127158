"""Files at the HTTP edge: OpenAI's File object, and the native one."""

from apps.files.serializers.native import NativeFileSerializer
from apps.files.serializers.openai import FileDeletedSerializer, FileListSerializer, FileSerializer, UploadSerializer
from apps.files.serializers.uploads import (
    CompletionSerializer,
    PartFormSerializer,
    PartSerializer,
    UploadObjectSerializer,
    UploadRequestSerializer,
)

__all__ = [
    "CompletionSerializer",
    "FileDeletedSerializer",
    "FileListSerializer",
    "FileSerializer",
    "NativeFileSerializer",
    "PartFormSerializer",
    "PartSerializer",
    "UploadObjectSerializer",
    "UploadRequestSerializer",
    "UploadSerializer",
]
