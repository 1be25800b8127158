"""What deleted documents said goes: passages, text, title, metadata, bytes; and deleted collections once nothing of them is left.

A passage that the snapshot of a kept answer cites (one that is pinned) stays until the workspace's items of that age are forgotten, too.
Safe at any time and twice at once, and again after a kill: each document goes in a transaction of its own.
"""

from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction

from apps.accounts.queries import find_retention
from apps.files.actions.delete_file import remove_file
from apps.knowledge.models import Collection, Document, DocumentVersion
from apps.lib.sql import server_cursor

log = structlog.get_logger(__name__)

_AT_ONCE = 500
_CITED = """
SELECT DISTINCT result->>'document', result->>'chunk'
FROM knowledge_pin AS pin
JOIN knowledge_snapshot AS snapshot ON snapshot.id = pin.snapshot_id
CROSS JOIN LATERAL jsonb_array_elements(snapshot.content->'results') AS result
WHERE snapshot.collection_id = %s AND pin.created_at > %s
"""
_FORGET_CHUNKS = "DELETE FROM knowledge_chunk WHERE document_id = %s AND NOT (id = ANY(%s))"
# From what refers to others to what others refer to.
_REMOVE = (
    "DELETE FROM knowledge_pin WHERE snapshot_id IN (SELECT id FROM knowledge_snapshot WHERE collection_id = %s)",
    "DELETE FROM knowledge_snapshot WHERE collection_id = %s",
    "DELETE FROM knowledge_documentversion WHERE document_id IN (SELECT id FROM knowledge_document WHERE collection_id = %s)",
    "DELETE FROM knowledge_document WHERE collection_id = %s",
    "DELETE FROM knowledge_collection WHERE id = %s",
)


def forget_deleted(*, now: datetime) -> int:
    """How many documents have been forgotten."""
    waiting = Document.objects.filter(deleted_at__isnull=False, forgotten_at=None)
    forgotten = 0
    for collection in Collection.objects.filter(id__in=waiting.values("collection_id")):
        cited = _cited(collection, now)
        last = UUID(int=0)
        while ids := list(waiting.filter(collection=collection, id__gt=last).order_by("id").values_list("id", flat=True)[:_AT_ONCE]):
            last = ids[-1]
            forgotten += sum(_forget(key, cited.get(str(key), []), now) for key in ids)
    for collection in Collection.objects.filter(deleted_at__isnull=False):
        _remove(collection)
    if forgotten:
        log.info("documents_forgotten", documents=forgotten)
    return forgotten


def _cited(collection: Collection, now: datetime) -> dict[str, list[UUID]]:
    """By document the passages that kept answers cite."""
    days = find_retention(collection.workspace_id, "keep_items_days") or settings.KEEP_ITEMS_DAYS
    cited: dict[str, list[UUID]] = {}
    with server_cursor() as cursor:
        cursor.execute(_CITED, (collection.id, now - timedelta(days=days)))
        for document, chunk in cursor:
            cited.setdefault(document, []).append(UUID(chunk))
    return cited


def _forget(document_id: UUID, cited: list[UUID], now: datetime) -> bool:
    with transaction.atomic(), server_cursor() as cursor:
        versions = DocumentVersion.objects.filter(document_id=document_id)
        for file_id in versions.filter(file__isnull=False).values_list("file_id", flat=True):
            remove_file(file_id=file_id, now=now)
        versions.update(content=None, title="")
        cursor.execute(_FORGET_CHUNKS, (document_id, cited))
        values = {"metadata": {}, "source": ""} | ({} if cited else {"forgotten_at": now})
        Document.objects.filter(id=document_id).update(**values)
    return not cited


def _remove(collection: Collection) -> None:
    """The collection's rows, when all of its documents are forgotten."""
    with transaction.atomic(), server_cursor() as cursor:
        cursor.execute("SELECT FROM knowledge_collection WHERE id = %s FOR UPDATE", (collection.id,))
        if collection.documents.filter(forgotten_at=None).exists():
            return
        for statement in _REMOVE:
            cursor.execute(statement, (collection.id,))
