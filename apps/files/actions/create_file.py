"""Store a file: bytes to storage, hashed on the way, in constant memory; then the row."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class StoredBytes:
    """Bytes that no row knows yet: whoever stores them records them as a file, or discards them; else the sweep does, a day later."""

    file_id: UUID
    workspace_id: UUID
    size_bytes: int
    sha256: str

    @property
    def storage_key(self) -> str:
        return _key(self.workspace_id, self.file_id)


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
    """The stored file. When anything fails midway nothing stays behind. Without seconds it is kept as long as is usual for its purpose."""
    stored = store_bytes(workspace_id=workspace_id, content=content)
    try:
        return record_file(
            stored, api_key_id=api_key_id, purpose=purpose, filename=filename, expires_after_seconds=expires_after_seconds, now=now
        )
    except BaseException:
        default_storage.delete(stored.storage_key)
        raise


def store_bytes(*, workspace_id: UUID, content: "BinaryIO | UploadedFile[bytes] | Iterable[bytes]") -> StoredBytes:
    """When it fails midway nothing stays behind.

    The storage's key is ours (`workspace/file id`); nothing of a caller's name gets into a path.
    """
    file_id = uuid7()
    key = _key(workspace_id, file_id)
    try:
        return StoredBytes(file_id, workspace_id, *_store(key, content))
    except BaseException:
        default_storage.delete(key)
        raise


def record_file(
    stored: StoredBytes, *, api_key_id: UUID | None, purpose: str, filename: str, expires_after_seconds: int | None, now: datetime
) -> File:
    """The file of these bytes: in the transaction that has a use for it."""
    return File.objects.create(
        id=stored.file_id,
        workspace_id=stored.workspace_id,
        api_key_id=api_key_id,
        purpose=Purpose(purpose),
        filename=plain_name(filename),
        size_bytes=stored.size_bytes,
        sha256=stored.sha256,
        storage_key=stored.storage_key,
        created_at=now,
        expires_at=_expiry(stored.workspace_id, purpose, expires_after_seconds, now),
    )


def _key(workspace_id: UUID, file_id: UUID) -> str:
    return f"{workspace_id.hex}/{file_id.hex}"


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
