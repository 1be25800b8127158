"""Delete a collection with all that is in it; say anew what one is for."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.accounts.actions import record_audit
from apps.knowledge.actions.end_documents import end_documents
from apps.knowledge.models import Collection
from apps.lib.http_errors import ApiError


@transaction.atomic
def delete_collection(*, collection_id: UUID, name: str, now: datetime, reason: str = "") -> int:
    """How many documents went with it. Its name is free at once; texts and rows go as those of deleted documents do.

    `name`: as whoever deletes it has written it; ApiError 400 when that is another one's, 404 when it is gone already.
    """
    collection = Collection.objects.select_for_update(no_key=True).filter(id=collection_id, deleted_at=None).first()
    if collection is None:
        raise ApiError(404, "not_found", "The collection is gone already.")
    if name != collection.name:
        raise ApiError(400, "not_confirmed", f"To delete it with all its documents, write its name: {collection.name}.", param="name")
    documents = end_documents(collection, collection.documents.all(), now=now)
    collection.name, collection.deleted_at, collection.updated_at = f"deleted-{collection.id.hex}", now, now
    collection.save(update_fields=["name", "deleted_at", "updated_at"])
    record_audit(
        verb="deleted",
        object_type="collection",
        object_id=collection.id,
        object_label=name,
        workspace_id=collection.workspace_id,
        before={"documents": documents, "deleted_at": None},
        after={"documents": 0, "deleted_at": now},
        reason=reason,
    )
    return documents


@transaction.atomic
def describe_collection(*, collection_id: UUID, description: str, now: datetime) -> Collection:
    """What it is for, anew; the same again changes nothing."""
    collection = Collection.objects.select_for_update(no_key=True).get(id=collection_id)
    before = collection.description
    if description == before:
        return collection
    collection.description, collection.updated_at = description, now
    collection.save(update_fields=["description", "updated_at"])
    record_audit(
        verb="changed",
        object_type="collection",
        object_id=collection.id,
        object_label=collection.name,
        workspace_id=collection.workspace_id,
        before={"description": before},
        after={"description": description},
    )
    return collection
