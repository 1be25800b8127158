"""Delete a document: from the next revision on no search finds it, and its bytes are gone at once, its text a moment later."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.accounts.actions import record_audit
from apps.files.actions.delete_file import remove_file
from apps.knowledge.actions.end_documents import end_documents
from apps.knowledge.models import Collection, Document, DocumentVersion


@transaction.atomic
def delete_document(*, document_id: UUID, now: datetime, reason: str = "") -> bool:
    """True when it was there until now. Passages that a kept answer cites stay as long as that (`forget_deleted`)."""
    document = Document.objects.filter(id=document_id).first()
    if document is None:
        return False
    collection = Collection.objects.select_for_update(no_key=True).get(id=document.collection_id)
    if not end_documents(collection, Document.objects.filter(id=document_id), now=now):
        return False
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
