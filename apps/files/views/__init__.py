"""The HTTP doors to files: as OpenAI's clients know them, and native."""

from apps.files.views.native import NativeFileContentView, NativeFilesView, NativeFileView
from apps.files.views.openai import FileContentView, FilesView, FileView

__all__ = ["FileContentView", "FileView", "FilesView", "NativeFileContentView", "NativeFileView", "NativeFilesView"]
