"""Take an upload in: a document, or an archive of documents, each of which becomes a document of its own."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, BinaryIO, cast
from uuid import UUID

from apps.knowledge.actions.add_document import Added, add_document
from apps.knowledge.domain.limits import Limits
from apps.knowledge.domain.names import member_name
from apps.knowledge.domain.refusals import Refused
from apps.knowledge.extraction import is_archive, unpack
from apps.lib.http_errors import ApiError

if TYPE_CHECKING:
    from django.core.files.uploadedfile import UploadedFile

# An upload is answered when all of them are taken in.
MOST_MEMBERS = 1_000
_LIMITS = Limits(max_members=MOST_MEMBERS)
_HEAD = b"PK\x03\x04"
_CHUNK_BYTES = 1 << 20


def add_upload(
    *,
    collection_id: UUID,
    api_key_id: UUID | None,
    upload: "UploadedFile[bytes]",
    metadata: Mapping[str, str] | None = None,
    now: datetime,
) -> list[Added]:
    """What became of it, or of each document of an archive in the archive's order; a folder's name stands before its documents' names.

    ApiError 400 for an archive that can't be trusted, of which nothing is taken then, and for what `add_document` refuses. Should it break
    off in an archive, the documents before are there; to upload it again changes nothing for these.
    """
    filename = upload.name or ""
    with _archive(upload) as archive:
        if archive is None:
            return [add_document(
                collection_id=collection_id, api_key_id=api_key_id, filename=filename, content=upload, metadata=metadata, now=now
            )]  # fmt: skip
        added = []
        for name, stream in _members(archive):
            added.append(
                add_document(
                    collection_id=collection_id,
                    api_key_id=api_key_id,
                    filename=member_name(name),
                    content=stream,
                    source=f"{name} in {filename}",
                    metadata=metadata,
                    now=now,
                )
            )
        return added


@contextmanager
def _archive(upload: "UploadedFile[bytes]") -> "Iterator[IO[bytes] | None]":
    """An archive's bytes, on the disk without a name, so that nothing stays, whatever ends this process; None when it is no archive."""
    upload.seek(0)
    head = upload.read(len(_HEAD))
    upload.seek(0)
    if head != _HEAD:
        yield None
        return
    with TemporaryFile() as copy:
        for chunk in upload.chunks(_CHUNK_BYTES):
            copy.write(chunk)
        upload.seek(0)
        try:
            found = is_archive(copy)
        except Refused as refused:
            # A damaged document of an office program is for its reader to refuse, who tells of it on the document's page.
            if (upload.name or "").lower().endswith(".zip"):
                raise _told(refused) from refused
            found = False
        yield copy if found else None


def _members(archive: IO[bytes]) -> Iterator[tuple[str, BinaryIO]]:
    try:
        for member in unpack(archive, limits=_LIMITS):
            yield member.name, cast("BinaryIO", member.stream)
    except Refused as refused:
        raise _told(refused) from refused


def _told(refused: Refused) -> ApiError:
    return ApiError(400, refused.code, refused.message, param="file")
