"""Delete a document: from the next revision on no search finds it. Older revisions and snapshots keep what they cite."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.accounts.actions import record_audit
from apps.files.actions.delete_file import remove_file
from apps.knowledge.models import Collection, Document, DocumentVersion


@transaction.atomic
def delete_document(*, document_id: UUID, now: datetime, reason: str = "") -> bool:
    """True when it was there until now. The uploaded bytes go at once."""
    found = Document.objects.filter(id=document_id).first()
    if found is None:
        return False
    collection = Collection.objects.select_for_update(no_key=True).get(id=found.collection_id)
    document = Document.objects.get(id=document_id)
    if document.deleted_at is not None:
        return False
    document.deleted_at, document.updated_at = now, now
    document.save(update_fields=["deleted_at", "updated_at"])
    current = DocumentVersion.objects.filter(document=document, from_revision__isnull=False, to_revision=None)
    if gone := sum(current.values_list("chunk_count", flat=True)):
        collection.chunk_count -= gone
    if current.update(to_revision=collection.revision + 1):
        collection.revision += 1
        collection.save(update_fields=["revision", "chunk_count"])
    for file_id in DocumentVersion.objects.filter(document=document, file__isnull=False).values_list("file_id", flat=True):
        remove_file(file_id=file_id, now=now)
    record_audit(
        verb="deleted",
        object_type="document",
        object_id=document.id,
        object_label=document.name,
        workspace_id=collection.workspace_id,
        before={"deleted_at": None},
        after={"deleted_at": now},
        reason=reason,
    )
    return True
