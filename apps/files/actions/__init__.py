"""Take files in, read them, and let them go."""

from apps.files.actions.create_file import create_file
from apps.files.actions.delete_file import delete_file, discard_bytes
from apps.files.actions.expire_files import expire_files
from apps.files.actions.keep_file import keep_file
from apps.files.actions.read_table import Table, TableRow, TableUnreadableError, read_table

__all__ = [
    "Table",
    "TableRow",
    "TableUnreadableError",
    "create_file",
    "delete_file",
    "discard_bytes",
    "expire_files",
    "keep_file",
    "read_table",
]
