"""What was read becomes what searches find: one more revision of the collection, at which the version before it ends."""

from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from apps.knowledge.actions.hold_version import Claim, ClaimLostError
from apps.knowledge.models import Chunk, Collection, Document, DocumentVersion, VersionStatus
from apps.lib.enqueue import enqueue
from apps.lib.failpoints import failpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was read of a document; `content` are its sections, packed."""

    media_type: str
    title: str
    language: str
    pages: int
    characters: int
    chunk_count: int
    content: bytes


def publish_reading(claim: Claim, reading: Reading) -> bool:
    """Whether searches find it from now on; if not, its vectors are rung for. ClaimLostError when the version is not ours any more."""
    with transaction.atomic():
        collection = _lock_collection(claim.version_id)
        _write(claim, reading)
        is_found = _publish(collection, claim.version_id)
        if not is_found:
            enqueue("jobs.index_documents", queue="ingest")
        failpoint("extract.before_commit")
    failpoint("extract.after_commit")
    return is_found


def publish_version(version_id: UUID) -> bool:
    """Let searches find a version that was read, if none of its vectors is missing; whether it did."""
    with transaction.atomic():
        return _publish(_lock_collection(version_id), version_id)


def _lock_collection(version_id: UUID) -> Collection:
    """Versions of one collection are published one after the other, each for a moment."""
    return Collection.objects.select_for_update(no_key=True, of=("self",)).get(documents__versions=version_id)


def _write(claim: Claim, reading: Reading) -> None:
    mine = DocumentVersion.objects.filter(id=claim.version_id, claim_id=claim.claim_id, status=VersionStatus.PENDING)
    written = mine.update(
        media_type=reading.media_type,
        title=reading.title,
        language=reading.language,
        pages=reading.pages,
        characters=reading.characters,
        chunk_count=reading.chunk_count,
        content=reading.content,
        claim_id=None,
        lease_until=None,
        read_at=Now(),
    )
    if not written:
        raise ClaimLostError


def _publish(collection: Collection, version_id: UUID) -> bool:
    """One row of a version begins and one ends, whatever the number of chunks.

    A version that a newer one has overtaken, or whose document is deleted by now, begins and ends at once: no search finds it.
    """
    waiting = DocumentVersion.objects.filter(id=version_id, status=VersionStatus.PENDING, read_at__isnull=False)
    version = waiting.only("number", "document_id", "chunk_count").first()
    if version is None or Chunk.objects.filter(version_id=version_id, embedding=None).exists():
        return False
    document = Document.objects.get(id=version.document_id)
    revision = collection.revision + 1
    is_late = document.deleted_at is not None or (document.current_number or 0) > version.number
    waiting.update(
        status=VersionStatus.READY,
        from_revision=revision,
        to_revision=revision if is_late else None,
        refusal_code="",
        refusal_message="",
        ended_at=Now(),
    )
    if not is_late:
        _replace(document, version.number, revision)
        gone = _chunks_ended(document, revision)
        collection.revision, collection.chunk_count = revision, collection.chunk_count + version.chunk_count - gone
        collection.save(update_fields=["revision", "chunk_count"])
    return True


def _replace(document: Document, number: int, revision: int) -> None:
    before = DocumentVersion.objects.filter(document=document, to_revision=None, from_revision__lt=revision)
    before.update(to_revision=revision)
    document.current_number = number
    document.save(update_fields=["current_number"])


def _chunks_ended(document: Document, revision: int) -> int:
    ended = DocumentVersion.objects.filter(document=document, to_revision=revision, from_revision__lt=revision)
    return sum(ended.values_list("chunk_count", flat=True))
