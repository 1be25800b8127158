"""Take a document in: its bytes to storage, a version that waits to be read, and a ring for the readers."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, BinaryIO
from uuid import UUID

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction

from apps.accounts.actions import record_audit
from apps.files.actions import StoredBytes, discard_bytes, record_file, store_bytes
from apps.files.domain.upload import plain_name
from apps.knowledge.domain.names import MetadataRefusedError, check_metadata
from apps.knowledge.models import Collection, Document, DocumentVersion
from apps.lib.digests import digest_of
from apps.lib.enqueue import enqueue
from apps.lib.http_errors import ApiError

if TYPE_CHECKING:
    from apps.files.models import File


@dataclass(frozen=True, slots=True)
class Added:
    """`is_new`: a version came of it; the same bytes under the same name change nothing."""

    document: Document
    version: DocumentVersion
    is_new: bool


def add_document(
    *,
    collection_id: UUID,
    api_key_id: UUID | None,
    filename: str,
    content: "UploadedFile[bytes] | BinaryIO",
    source: str = "",
    metadata: Mapping[str, str] | None = None,
    now: datetime,
) -> Added:
    """A new document, or a new version of the one that has the name. ApiError 400 for metadata that can't be kept."""
    name = plain_name(filename)
    try:
        told = None if metadata is None else check_metadata(metadata)
    except MetadataRefusedError as refused:
        raise ApiError(400, "invalid_value", refused.message, param="metadata") from refused
    if isinstance(content, UploadedFile):
        # Before the lock, for which all uploads of the collection wait: it reads the whole file.
        digest = digest_of(content)
        with transaction.atomic():
            collection = _lock(collection_id)
            if known := _find_same(collection, name, digest):
                return _unchanged(known, told, now)
    stored = store_bytes(workspace_id=Collection.objects.get(id=collection_id).workspace_id, content=content)
    with transaction.atomic(), _discarded_unless_used(stored):
        collection = _lock(collection_id)
        if known := _find_same(collection, name, stored.sha256):
            transaction.on_commit(partial(discard_bytes, storage_key=stored.storage_key))
            return _unchanged(known, told, now)
        document = _find_or_make(collection, name, source[:500], told, now)
        file = record_file(stored, api_key_id=api_key_id, purpose="user_data", filename=name, expires_after_seconds=None, now=now)
        return _begin_version(document, file, now)


@contextmanager
def _discarded_unless_used(stored: StoredBytes) -> Iterator[None]:
    """File and version are written together: a kill leaves bytes without a row at most, which the sweep removes."""
    try:
        yield
    except BaseException:
        discard_bytes(storage_key=stored.storage_key)
        raise


def _lock(collection_id: UUID) -> Collection:
    """Uploads of one collection are taken one after the other, each for a moment: a name gets one document, a document one next number."""
    collection = Collection.objects.select_for_update(no_key=True).filter(id=collection_id, deleted_at=None).first()
    if collection is None:
        raise ApiError(404, "not_found", "The collection was deleted.")
    return collection


def _find_same(collection: Collection, name: str, digest: str) -> DocumentVersion | None:
    """The newest version under the name when it is of these bytes. What was refused, or could not be embedded, is tried again."""
    versions = DocumentVersion.objects.filter(document__collection=collection, document__name=name, document__deleted_at=None)
    newest = versions.select_related("document").defer("content").order_by("-number").first()
    return newest if newest and newest.sha256 == digest and not newest.refusal_code else None


def _unchanged(version: DocumentVersion, metadata: dict[str, str] | None, now: datetime) -> Added:
    document = version.document
    if metadata is not None and metadata != document.metadata:
        document.metadata, document.updated_at = metadata, now
        document.save(update_fields=["metadata", "updated_at"])
    return Added(document, version, is_new=False)


def _find_or_make(collection: Collection, name: str, source: str, metadata: dict[str, str] | None, now: datetime) -> Document:
    document = Document.objects.filter(collection=collection, name=name, deleted_at=None).first()
    if document is None:
        document = Document(collection=collection, name=name, source=source, metadata=metadata or {}, created_at=now, updated_at=now)
        document.save(force_insert=True)
        return document
    document.updated_at, document.source = now, source or document.source
    document.metadata = document.metadata if metadata is None else metadata
    document.save(update_fields=["updated_at", "source", "metadata"])
    return document


def _begin_version(document: Document, file: "File", now: datetime) -> Added:
    last = document.versions.order_by("-number").values_list("number", flat=True).first() or 0
    version = DocumentVersion(
        document=document, number=last + 1, file=file, sha256=file.sha256, size_bytes=file.size_bytes, created_at=now, rung_at=now
    )
    version.save(force_insert=True)
    record_audit(
        verb="uploaded",
        object_type="document",
        object_id=document.id,
        object_label=document.name,
        workspace_id=file.workspace_id,
        after={"version": version.number, "sha256": version.sha256},
    )
    enqueue("knowledge.extract_document", queue="ingest", version_id=str(version.id))
    return Added(document, version, is_new=True)
