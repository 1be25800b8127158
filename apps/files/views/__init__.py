"""The HTTP doors to files: as OpenAI's clients know them, and native."""

from apps.files.views.native import NativeFileContentView, NativeFilesView, NativeFileView
from apps.files.views.openai import FileContentView, FilesView, FileView
from apps.files.views.uploads import UploadCancelView, UploadCompleteView, UploadPartsView, UploadsView

__all__ = [
    "FileContentView",
    "FileView",
    "FilesView",
    "NativeFileContentView",
    "NativeFileView",
    "NativeFilesView",
    "UploadCancelView",
    "UploadCompleteView",
    "UploadPartsView",
    "UploadsView",
]
