"""Complete an upload: its parts, in the order that is said, become one file."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

from django.core.files.storage import default_storage
from django.db import transaction

from apps.files.actions.create_file import create_file
from apps.files.actions.delete_file import discard_bytes
from apps.files.actions.lock_upload import lock_upload, require_pending
from apps.files.domain.parts import read_completion
from apps.files.domain.upload import UploadRefusedError
from apps.files.models import PART_PREFIX, Part, Upload, UploadStatus
from apps.lib.http_errors import ApiError
from apps.lib.ids import parse_public_id

_CHUNK_BYTES = 1 << 20


def complete_upload(*, workspace_id: UUID, api_key_id: UUID, public_id: str, values: object, now: datetime) -> Upload:
    """The completed upload with its file. One that is completed already is answered as it is, so that a repeated call does no harm.

    ApiError 404 for an unknown upload, 409 for one that is over, 400 for unknown parts, a size that was not announced or another MD5.
    """
    with transaction.atomic():
        upload = lock_upload(workspace_id=workspace_id, public_id=public_id)
        if upload.status == UploadStatus.COMPLETED:
            return upload
        require_pending(upload, now=now)
        try:
            request = read_completion(values)
        except UploadRefusedError as refused:
            raise ApiError(400, refused.code, refused.message, param=refused.param) from refused
        parts = _parts(upload, request.part_ids)
        digest = hashlib.md5(usedforsecurity=False)
        upload.file = create_file(
            workspace_id=workspace_id,
            api_key_id=api_key_id,
            purpose=upload.purpose,
            filename=upload.filename,
            content=_bytes_of(parts, digest),
            expires_after_seconds=upload.file_expires_after_seconds,
            now=now,
        )
        try:
            _check_md5(request.md5, digest.hexdigest())
            upload.status = UploadStatus.COMPLETED
            upload.save(update_fields=["status", "file"])
            remove_parts([upload.id])
        except BaseException:
            discard_bytes(storage_key=upload.file.storage_key)
            raise
    return upload


def remove_parts(upload_ids: Sequence[UUID]) -> None:
    """Parts that are no longer wanted: rows now, bytes after commit."""
    parts = Part.objects.filter(upload_id__in=upload_ids)
    keys = list(parts.values_list("storage_key", flat=True))
    parts.delete()

    def remove_bytes() -> None:
        for key in keys:
            default_storage.delete(key)

    transaction.on_commit(remove_bytes)


def _check_md5(wanted: str, found: str) -> None:
    if wanted and wanted != found:
        message = f"The parts' MD5 is {found}, not {wanted}: bytes were changed on the way. Send them again."
        raise ApiError(400, "checksum_mismatch", message, param="md5")


def _parts(upload: Upload, part_ids: Sequence[str]) -> list[Part]:
    known = {part.id: part for part in upload.parts.all()}
    parts = []
    for part_id in part_ids:
        part = known.get(parse_public_id(PART_PREFIX, part_id) or UUID(int=0))
        if part is None:
            raise ApiError(400, "part_not_found", f"This upload has no part {part_id[:100]!r}.", param="part_ids")
        parts.append(part)
    size = sum(part.size_bytes for part in parts)
    if size != upload.size_bytes:
        message = f"These parts have {size:,} bytes; {upload.size_bytes:,} were announced."
        raise ApiError(400, "size_mismatch", message, param="part_ids")
    return parts


def _bytes_of(parts: Sequence[Part], digest: "hashlib._Hash") -> Iterator[bytes]:
    for part in parts:
        with default_storage.open(part.storage_key, "rb") as stored:
            while chunk := stored.read(_CHUNK_BYTES):
                digest.update(chunk)
                yield chunk
