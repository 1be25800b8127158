"""Find files and read them."""

from typing import BinaryIO, cast
from uuid import UUID

from django.core.files.storage import default_storage
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from apps.files.models import FILE_PREFIX, UPLOAD_PREFIX, File, Upload
from apps.lib.http_errors import ApiError
from apps.lib.ids import parse_public_id


class FileGoneError(Exception):
    """The file was deleted or has expired; its bytes are gone."""


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
