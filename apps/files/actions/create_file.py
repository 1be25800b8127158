"""Store a file: bytes to storage, hashed on the way, in constant memory; then the row."""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from tempfile import NamedTemporaryFile
from typing import IO, BinaryIO
from uuid import UUID

from django.conf import settings
from django.core.files import File as DjangoFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import UploadedFile

from apps.files.domain.upload import RETAINED_PURPOSES, plain_name
from apps.files.models import File, Purpose
from apps.files.queries import find_usual_expiry
from apps.lib.digests import digest_of
from apps.lib.ids import uuid7


def create_file(
    *,
    workspace_id: UUID,
    api_key_id: UUID | None,
    purpose: str,
    filename: str,
    content: "BinaryIO | UploadedFile[bytes] | Iterable[bytes]",
    expires_after_seconds: int | None,
    now: datetime,
) -> File:
    """The stored file. When anything fails midway nothing stays behind. Without seconds it is kept as long as is usual for its purpose.

    The storage's key is ours (`workspace/file id`); nothing of the caller's name gets into a path.
    """
    file_id = uuid7()
    key = f"{workspace_id.hex}/{file_id.hex}"
    try:
        size, digest = _store(key, content)
        return File.objects.create(
            id=file_id,
            workspace_id=workspace_id,
            api_key_id=api_key_id,
            purpose=Purpose(purpose),
            filename=plain_name(filename),
            size_bytes=size,
            sha256=digest,
            storage_key=key,
            created_at=now,
            expires_at=_expiry(workspace_id, purpose, expires_after_seconds, now),
        )
    except BaseException:
        default_storage.delete(key)
        raise


def _expiry(workspace_id: UUID, purpose: str, seconds: int | None, now: datetime) -> datetime | None:
    if seconds:
        return now + timedelta(seconds=seconds)
    return find_usual_expiry(workspace_id=workspace_id, now=now) if purpose in RETAINED_PURPOSES else None


def _store(key: str, content: "BinaryIO | UploadedFile[bytes] | Iterable[bytes]") -> tuple[int, str]:
    """(bytes, SHA-256). A file storage takes a spooled upload over by renaming it."""
    if isinstance(content, UploadedFile):
        measured = content.size or 0, digest_of(content)
        _save(key, content)
        return measured
    with NamedTemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR, prefix="written-") as spool:
        measured = _measure(_written(spool, content))
        spool.seek(0)
        _save(key, DjangoFile(spool))
        return measured


def _save(key: str, content: "DjangoFile[bytes]") -> None:
    """A storage that finds the key taken would choose another one; ids don't repeat, so that is a defect."""
    stored = default_storage.save(key, content)
    if stored != key:
        default_storage.delete(stored)
        msg = f"The storage kept {key} as {stored}."
        raise FileExistsError(msg)


def _measure(chunks: Iterable[bytes]) -> tuple[int, str]:
    size, digest = 0, hashlib.sha256()
    for chunk in chunks:
        digest.update(chunk)
        size += len(chunk)
    return size, digest.hexdigest()


def _written(spool: IO[bytes], content: "BinaryIO | Iterable[bytes]") -> Iterator[bytes]:
    for chunk in content:
        spool.write(chunk)
        yield chunk
