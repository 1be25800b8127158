"""What was read becomes what searches find: one more revision of the collection, at which the version before it ends."""

from dataclasses import dataclass

from django.db import transaction
from django.db.models.functions import Now

from apps.knowledge.actions.hold_version import Claim, ClaimLostError
from apps.knowledge.models import Collection, Document, DocumentVersion, VersionStatus
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


def publish_reading(claim: Claim, reading: Reading) -> None:
    """One row of a version begins and one ends, whatever the number of chunks; ClaimLostError when the version is not ours any more.

    A version that a newer one has overtaken, or whose document is deleted by now, begins and ends at once: no search finds it.
    """
    with transaction.atomic():
        version = DocumentVersion.objects.only("number", "document_id", "document__collection_id").select_related("document")
        mine = version.get(id=claim.version_id)
        collection = Collection.objects.select_for_update(no_key=True).get(id=mine.document.collection_id)
        document = Document.objects.get(id=mine.document_id)
        revision = collection.revision + 1
        is_late = document.deleted_at is not None or (document.current_number or 0) > mine.number
        _end_claimed(claim, reading, revision, is_late=is_late)
        if not is_late:
            _replace(document, mine.number, revision)
            gone = _chunks_ended(document, revision)
            collection.revision, collection.chunk_count = revision, collection.chunk_count + reading.chunk_count - gone
            collection.save(update_fields=["revision", "chunk_count"])
        failpoint("extract.before_commit")
    failpoint("extract.after_commit")


def _end_claimed(claim: Claim, reading: Reading, revision: int, *, is_late: bool) -> None:
    mine = DocumentVersion.objects.filter(id=claim.version_id, claim_id=claim.claim_id, status=VersionStatus.PENDING)
    written = mine.update(
        status=VersionStatus.READY,
        media_type=reading.media_type,
        title=reading.title,
        language=reading.language,
        pages=reading.pages,
        characters=reading.characters,
        chunk_count=reading.chunk_count,
        content=reading.content,
        from_revision=revision,
        to_revision=revision if is_late else None,
        claim_id=None,
        lease_until=None,
        ended_at=Now(),
    )
    if not written:
        raise ClaimLostError


def _replace(document: Document, number: int, revision: int) -> None:
    before = DocumentVersion.objects.filter(document=document, to_revision=None, from_revision__lt=revision)
    before.update(to_revision=revision)
    document.current_number = number
    document.save(update_fields=["current_number"])


def _chunks_ended(document: Document, revision: int) -> int:
    ended = DocumentVersion.objects.filter(document=document, to_revision=revision, from_revision__lt=revision)
    return sum(ended.values_list("chunk_count", flat=True))
