"""End documents: from the next revision on no search finds them, and what they said is on its way out."""

from datetime import datetime

from django.db.models import QuerySet, Sum

from apps.knowledge.actions.announce_read import announce_read
from apps.knowledge.models import Collection, Document, DocumentVersion, VersionStatus
from apps.lib.enqueue import enqueue

_DELETED = "It was deleted before searches found it."


def end_documents(collection: Collection, documents: QuerySet[Document], *, now: datetime) -> int:
    """How many were there until now. In the transaction that holds the collection's row; whoever still reads one of them writes nothing."""
    there = documents.filter(collection=collection, deleted_at=None)
    versions = DocumentVersion.objects.filter(document__in=there)
    current = versions.filter(from_revision__isnull=False, to_revision=None)
    gone = current.aggregate(chunks=Sum("chunk_count"))["chunks"] or 0
    if current.update(to_revision=collection.revision + 1):
        collection.revision, collection.chunk_count = collection.revision + 1, collection.chunk_count - gone
        collection.save(update_fields=["revision", "chunk_count"])
    versions.filter(status=VersionStatus.PENDING).update(
        status=VersionStatus.REFUSED, refusal_code="deleted", refusal_message=_DELETED, claim_id=None, lease_until=None, ended_at=now
    )
    ended = there.update(deleted_at=now, updated_at=now)
    enqueue("knowledge.forget_deleted", queue="ingest")
    announce_read(collection.id)
    return ended
