"""Vectors that a provider made come to their chunks; a version that misses none any more is found by searches from then on.

Safe at any time and twice at once: a chunk takes a vector once, and a version is published once.
"""

from collections.abc import Collection as Ids
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import transaction

from apps.knowledge.actions.announce_read import announce_read
from apps.knowledge.actions.publish_reading import publish_version
from apps.knowledge.actions.store_chunks import vector_text
from apps.knowledge.domain.embedders import NOT_EMBEDDED, UNUSABLE, read_vectors, text_key
from apps.knowledge.models import Chunk, Document
from apps.lib.failpoints import failpoint
from apps.lib.sql import server_cursor

_STORE = """
UPDATE knowledge_chunk AS chunk SET embedding = made.vector::vector
FROM unnest(%s::uuid[], %s::text[]) AS made (key, vector)
WHERE chunk.text_key = made.key AND chunk.embedding IS NULL
"""
_COMPLETE = """
SELECT id FROM knowledge_documentversion AS version
WHERE status = 'pending' AND read_at IS NOT NULL
  AND NOT EXISTS (SELECT FROM knowledge_chunk WHERE version_id = version.id AND embedding IS NULL)
ORDER BY read_at
"""
# Told once; what is asked anew has nothing to tell (`assign_items`).
_TELL_ITEM = """
UPDATE knowledge_documentversion AS version SET refusal_code = %(code)s, refusal_message = %(message)s
WHERE status = 'pending' AND refusal_code = ''
  AND id IN (SELECT version_id FROM knowledge_chunk WHERE embedding IS NULL AND item_id = ANY(%(items)s))
"""
_TELL_UNASKED = """
UPDATE knowledge_documentversion AS version SET refusal_code = %(code)s, refusal_message = %(message)s
FROM knowledge_chunk AS chunk JOIN knowledge_collection AS collection ON collection.id = chunk.collection_id
WHERE chunk.version_id = version.id AND chunk.embedding IS NULL AND chunk.item_id IS NULL AND version.status = 'pending'
  AND version.refusal_code = '' AND collection.workspace_id = %(workspace)s AND collection.embedder = %(embedder)s
"""


def store_vectors(*, item_id: UUID, texts: Sequence[str], answer: Any) -> None:
    """The vectors of an item's answer, which its texts are in the order of, to every chunk that says one of them.

    VectorRefusedError when the answer can't serve.
    """
    chunk = Chunk.objects.filter(item_id=item_id, embedding=None).select_related("collection").defer("words", "embedding").first()
    if chunk is None:
        return
    collection = chunk.collection
    vectors = read_vectors(answer, count=len(texts), dimensions=collection.dimensions)
    keys = [
        text_key(workspace_id=collection.workspace_id, embedder=collection.embedder, dimensions=collection.dimensions, text=text)
        for text in texts
    ]
    with transaction.atomic(), server_cursor() as cursor:
        cursor.execute(_STORE, (keys, [vector_text(vector) for vector in vectors]))
    failpoint("index.stored")


def publish_complete() -> int:
    """Let searches find what misses no vector any more; how many versions they find now."""
    with server_cursor() as cursor:
        cursor.execute(_COMPLETE)
        complete = [row[0] for row in cursor]
    found = [version_id for version_id in complete if publish_version(version_id)]
    for collection_id in Document.objects.filter(versions__in=found).values_list("collection_id", flat=True).distinct():
        announce_read(collection_id)
    return len(found)


def tell_not_embedded(*, item_ids: Ids[UUID], message: str, is_unusable: bool = False) -> None:
    """Why the versions that wait for these items are not found yet. `is_unusable`: they were answered, in vain; nobody looks again."""
    code = UNUSABLE if is_unusable else NOT_EMBEDDED
    with server_cursor() as cursor:
        cursor.execute(_TELL_ITEM, {"code": code, "message": message[:1000], "items": list(item_ids)})


def tell_unasked(*, workspace_id: UUID, embedder: str, message: str) -> None:
    """Why nobody was asked for the vectors of an embedder yet."""
    with server_cursor() as cursor:
        values = {"code": NOT_EMBEDDED, "message": message[:1000], "workspace": workspace_id, "embedder": embedder}
        cursor.execute(_TELL_UNASKED, values)
