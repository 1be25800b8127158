"""Find files and read them."""

import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO, cast
from uuid import UUID

from django.conf import settings
from django.core.files.storage import FileSystemStorage, default_storage
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from apps.accounts.queries import find_retention
from apps.files.models import FILE_PREFIX, UPLOAD_PREFIX, File, Upload
from apps.lib.http_errors import ApiError, storage_short
from apps.lib.ids import parse_public_id


class FileGoneError(Exception):
    """The file was deleted or has expired; its bytes are gone."""


def read_free_bytes() -> int | None:
    """What the file store has left; None where that can't be told (an object store)."""
    if not isinstance(default_storage, FileSystemStorage):
        return None
    folder = Path(default_storage.path(""))
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def find_lack_of_space(size: int, *, share: float = 1.0) -> ApiError | None:
    """The refusal of an upload of so many bytes while the store is short; None when there is room.

    `share` of what must stay free is enough.
    """
    free = read_free_bytes()
    if free is None or free - size >= settings.FILES_MIN_FREE_BYTES * share:
        return None
    message = (
        "Uploads are not taken at present: the platform's file store is short of space. What was accepted is safe and still runs. "
        "Send it again later; 'Retry-After' says when to try. Deleting files that you no longer need makes room."
    )
    return storage_short(message)


def list_files(*, workspace_id: UUID) -> QuerySet[File]:
    """A workspace's files that are still there: neither deleted nor past their time."""
    return File.objects.present().filter(Q(expires_at=None) | Q(expires_at__gt=Now()), workspace_id=workspace_id)


def find_file(*, workspace_id: UUID, public_id: str) -> File | None:
    """The workspace's file of that public id; None for another's, a deleted, an expired and an unknown one alike."""
    file_id = parse_public_id(FILE_PREFIX, public_id)
    return list_files(workspace_id=workspace_id).filter(id=file_id).first() if file_id else None


def find_present(*, workspace_id: UUID, file_id: UUID | None) -> File | None:
    """The workspace's file of that id, if it is still there."""
    return list_files(workspace_id=workspace_id).filter(id=file_id).first() if file_id else None


def require_upload(*, workspace_id: UUID, public_id: str) -> Upload:
    """The workspace's upload; ApiError 404 when it has no such one."""
    upload_id = parse_public_id(UPLOAD_PREFIX, public_id)
    upload = Upload.objects.filter(workspace_id=workspace_id, id=upload_id).first() if upload_id else None
    if upload is None:
        raise no_such_upload(public_id)
    return upload


def no_such_upload(public_id: str) -> ApiError:
    """The refusal for an id that the caller has no upload for."""
    return ApiError(404, "not_found", f"No such upload: {public_id[:100]!r}.")


def find_usual_expiry(*, workspace_id: UUID, now: datetime) -> datetime | None:
    """When what comes to a workspace now expires, if nothing else is said; None: when somebody deletes it."""
    days = find_retention(workspace_id, "keep_files_days")
    if days is None:
        days = settings.KEEP_FILES_DAYS
    return now + timedelta(days=days) if days else None


def open_file(file_id: UUID) -> BinaryIO:
    """The stored bytes, for reading in pieces; FileGoneError when they are gone."""
    file = File.objects.present().filter(id=file_id).first()
    if file is None:
        msg = "The file was deleted or has expired."
        raise FileGoneError(msg)
    try:
        return cast("BinaryIO", default_storage.open(file.storage_key, "rb"))
    except FileNotFoundError as error:
        msg = "The file's bytes are missing from the storage."
        raise FileGoneError(msg) from error
