"""Delete a file: its bytes go at once, its row stays for the jobs that refer to it."""

from datetime import datetime
from uuid import UUID

from django.core.files.storage import default_storage
from django.db import transaction

from apps.accounts.actions import record_audit
from apps.files.models import File


def delete_file(*, file_id: UUID, now: datetime, reason: str = "") -> bool:
    """True when it was there until now."""
    with transaction.atomic():
        if not remove_file(file_id=file_id, now=now):
            return False
        file = File.objects.get(id=file_id)
        record_audit(
            verb="deleted",
            object_type="file",
            object_id=file.id,
            object_label=f"{file.filename} ({file.public_id})",
            workspace_id=file.workspace_id,
            before={"deleted_at": None},
            after={"deleted_at": now},
            reason=reason,
        )
    return True


def remove_file(*, file_id: UUID, now: datetime) -> bool:
    """The same without an entry in the audit log, for what expires. The bytes go after commit: a rollback leaves the file whole."""
    key = File.objects.present().filter(id=file_id).values_list("storage_key", flat=True).first()
    if key is None or not File.objects.present().filter(id=file_id).update(deleted_at=now):
        return False
    transaction.on_commit(lambda: default_storage.delete(key))
    return True


def discard_bytes(*, storage_key: str) -> None:
    """Remove stored bytes that no row refers to."""
    default_storage.delete(storage_key)
