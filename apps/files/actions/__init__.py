"""Take files in, read them, and let them go."""

from apps.files.actions.add_part import add_part
from apps.files.actions.cancel_upload import cancel_upload, expire_uploads
from apps.files.actions.complete_upload import complete_upload
from apps.files.actions.create_file import StoredBytes, create_file, record_file, store_bytes
from apps.files.actions.delete_file import delete_file, discard_bytes
from apps.files.actions.erase_files import erase_files
from apps.files.actions.expire_files import clear_spool, expire_files
from apps.files.actions.keep_file import keep_file
from apps.files.actions.read_table import Table, TableRow, TableUnreadableError, read_table
from apps.files.actions.remove_strays import remove_strays
from apps.files.actions.start_upload import start_upload

__all__ = [
    "StoredBytes",
    "Table",
    "TableRow",
    "TableUnreadableError",
    "add_part",
    "cancel_upload",
    "clear_spool",
    "complete_upload",
    "create_file",
    "delete_file",
    "discard_bytes",
    "erase_files",
    "expire_files",
    "expire_uploads",
    "keep_file",
    "read_table",
    "record_file",
    "remove_strays",
    "start_upload",
    "store_bytes",
]
