"""Delete a file: its bytes go at once, its row stays for the jobs that refer to it."""

from datetime import datetime
from uuid import UUID

from django.core.files.storage import default_storage
from django.db import transaction

from apps.files.models import File


def delete_file(*, file_id: UUID, now: datetime) -> bool:
    """True when it was there until now. The bytes go after commit, so that a rollback leaves the file whole."""
    key = File.objects.present().filter(id=file_id).values_list("storage_key", flat=True).first()
    if key is None or not File.objects.present().filter(id=file_id).update(deleted_at=now):
        return False
    transaction.on_commit(lambda: default_storage.delete(key))
    return True


def discard_bytes(*, storage_key: str) -> None:
    """Remove stored bytes that no row refers to."""
    default_storage.delete(storage_key)
