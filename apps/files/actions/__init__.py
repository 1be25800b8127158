"""Take files in, and let them go."""

from apps.files.actions.create_file import create_file
from apps.files.actions.delete_file import delete_file, discard_bytes
from apps.files.actions.expire_files import expire_files

__all__ = ["create_file", "delete_file", "discard_bytes", "expire_files"]
