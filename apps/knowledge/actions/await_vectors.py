"""Chunks whose vectors a provider makes: which texts are to be asked for, and which item of a job asks for each.

A text is asked for once in a workspace for an embedder, however many chunks say it (`text_key`). Call all of it in one transaction, alone
for its `Wanted`: whoever asks makes the items in the same one.
"""

from collections.abc import Collection as Ids
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from apps.knowledge.domain.embedders import UNUSABLE, embedded_text, text_key
from apps.lib.sql import server_cursor

# Deleted documents and closed workspaces are not worked for.
_WAITING = """
FROM knowledge_chunk AS chunk
JOIN knowledge_document AS document ON document.id = chunk.document_id
JOIN knowledge_documentversion AS version ON version.id = chunk.version_id
JOIN knowledge_collection AS collection ON collection.id = chunk.collection_id
JOIN accounts_workspace AS workspace ON workspace.id = collection.workspace_id
WHERE chunk.embedding IS NULL AND chunk.item_id IS NULL AND document.deleted_at IS NULL AND workspace.deleting_at IS NULL
  AND version.status = 'pending' AND version.read_at IS NOT NULL
"""
_MINE = "AND collection.workspace_id = %(workspace)s AND collection.embedder = %(embedder)s AND collection.dimensions = %(dimensions)s"
_WANTED = f"SELECT DISTINCT collection.workspace_id, collection.embedder, collection.dimensions {_WAITING}"
_ASKERS = """
SELECT DISTINCT collection.workspace_id, collection.embedder, collection.dimensions
FROM knowledge_chunk AS chunk JOIN knowledge_collection AS collection ON collection.id = chunk.collection_id
WHERE chunk.item_id = ANY(%s) AND chunk.embedding IS NULL
"""
_TEXTS = f"""
SELECT * FROM (
    SELECT DISTINCT ON (chunk.text_key) chunk.text_key, chunk.heading, chunk.text, chunk.id {_WAITING} {_MINE}
    ORDER BY chunk.text_key, chunk.id
) AS texts ORDER BY id LIMIT %(limit)s
"""  # noqa: S608 -- our own names
_REUSE = f"""
UPDATE knowledge_chunk AS chunk SET embedding = known.embedding
FROM (
    SELECT DISTINCT ON (other.text_key) other.text_key, other.embedding FROM knowledge_chunk AS other
    WHERE other.embedding IS NOT NULL AND other.text_key IN (SELECT chunk.text_key {_WAITING} {_MINE})
) AS known
WHERE chunk.text_key = known.text_key AND chunk.embedding IS NULL
"""  # noqa: S608 -- our own names
_ASKED = f"""
SELECT DISTINCT other.item_id FROM knowledge_chunk AS other JOIN knowledge_documentversion AS holder ON holder.id = other.version_id
WHERE holder.refusal_code <> '{UNUSABLE}' AND other.embedding IS NULL AND other.item_id IS NOT NULL
  AND other.text_key IN (SELECT chunk.text_key {_WAITING} {_MINE})
"""  # noqa: S608 -- our own names
_JOIN = f"""
UPDATE knowledge_chunk AS chunk SET item_id = asked.item_id
FROM (
    SELECT DISTINCT ON (other.text_key) other.text_key, other.item_id FROM knowledge_chunk AS other
    WHERE other.embedding IS NULL AND other.item_id = ANY(%(items)s) AND other.text_key IN (SELECT chunk.text_key {_WAITING} {_MINE})
) AS asked
WHERE chunk.text_key = asked.text_key AND chunk.embedding IS NULL AND chunk.item_id IS NULL
"""  # noqa: S608 -- our own names
_ASSIGN = """
UPDATE knowledge_chunk AS chunk SET item_id = asked.item
FROM unnest(%s::uuid[], %s::uuid[]) AS asked (key, item)
WHERE chunk.text_key = asked.key AND chunk.embedding IS NULL AND chunk.item_id IS NULL
"""
_TRY_AGAIN = """
UPDATE knowledge_documentversion SET refusal_code = '', refusal_message = '' WHERE status = 'pending' AND refusal_code <> ''
    AND id IN (SELECT version_id FROM knowledge_chunk WHERE text_key = ANY(%s) AND embedding IS NULL)
"""
_AWAITED = f"""
SELECT DISTINCT chunk.item_id FROM knowledge_chunk AS chunk JOIN knowledge_documentversion AS version ON version.id = chunk.version_id
WHERE chunk.embedding IS NULL AND chunk.item_id IS NOT NULL AND chunk.item_id > %s AND version.refusal_code <> '{UNUSABLE}'
ORDER BY item_id LIMIT %s
"""  # noqa: S608 -- our own names
# With the items that ask for the same text on behalf of other chunks.
_MISSING = f"""
SELECT chunk.item_id, chunk.heading, chunk.text, ARRAY(
    SELECT DISTINCT other.item_id FROM knowledge_chunk AS other JOIN knowledge_documentversion AS holder ON holder.id = other.version_id
    WHERE other.text_key = chunk.text_key AND other.embedding IS NULL AND other.item_id <> chunk.item_id
      AND holder.refusal_code <> '{UNUSABLE}'
)
FROM knowledge_chunk AS chunk
JOIN knowledge_document AS document ON document.id = chunk.document_id
JOIN knowledge_documentversion AS version ON version.id = chunk.version_id
WHERE chunk.item_id = ANY(%s) AND chunk.embedding IS NULL AND document.deleted_at IS NULL AND version.status = 'pending'
"""  # noqa: S608 -- our own names
_ASKED_AGAIN = """
UPDATE knowledge_documentversion SET refusal_code = '', refusal_message = '' WHERE status = 'pending' AND refusal_code <> ''
    AND id IN (SELECT version_id FROM knowledge_chunk WHERE item_id = ANY(%s) AND embedding IS NULL)
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A workspace's texts that wait for the vectors of one embedder."""

    workspace_id: UUID
    embedder: str
    dimensions: int

    @property
    def key(self) -> UUID:
        """By which one worker at a time asks for them."""
        return text_key(workspace_id=self.workspace_id, embedder=self.embedder, dimensions=self.dimensions, text="")

    def values(self) -> dict[str, object]:
        return {"workspace": self.workspace_id, "embedder": self.embedder, "dimensions": self.dimensions}


def list_wanted() -> list[Wanted]:
    """Whose texts nobody was asked for yet."""
    with server_cursor() as cursor:
        cursor.execute(_WANTED)
        return [Wanted(*row) for row in cursor]


def list_askers(item_ids: Ids[UUID]) -> list[Wanted]:
    """Whose texts these items were made to ask for, where they are still without a vector."""
    with server_cursor() as cursor:
        cursor.execute(_ASKERS, (list(item_ids),))
        return [Wanted(*row) for row in cursor]


def list_texts(wanted: Wanted, *, limit: int) -> list[tuple[UUID, str]]:
    """Texts that nobody was asked for yet, each once, with its key; the oldest first."""
    with server_cursor() as cursor:
        cursor.execute(_TEXTS, wanted.values() | {"limit": limit})
        return [(key, embedded_text(heading, text)) for key, heading, text, _ in cursor]


def reuse_vectors(wanted: Wanted) -> int:
    """Chunks that say what another one says get its vector; how many did."""
    with server_cursor() as cursor:
        cursor.execute(_REUSE, wanted.values())
        return cursor.rowcount


def list_asked(wanted: Wanted) -> list[UUID]:
    """Items that were made for the very texts that nobody was asked for yet: by a chunk that came before."""
    with server_cursor() as cursor:
        cursor.execute(_ASKED, wanted.values())
        return [row[0] for row in cursor]


def join_items(wanted: Wanted, *, item_ids: Ids[UUID]) -> int:
    """Let chunks wait for these items, where they ask for their text; how many do."""
    with server_cursor() as cursor:
        cursor.execute(_JOIN, wanted.values() | {"items": list(item_ids)})
        return cursor.rowcount


def assign_items(items: Mapping[UUID, UUID]) -> None:
    """By text's key the item that asks for it. What was told of an earlier try is told no longer."""
    with server_cursor() as cursor:
        cursor.execute(_TRY_AGAIN, (list(items),))
        cursor.execute(_ASSIGN, (list(items), list(items.values())))


@dataclass(frozen=True, slots=True)
class Missing:
    """A text without a vector that an item was made to ask for; `others` ask for the same, on behalf of other chunks."""

    item_id: UUID
    text: str
    others: Sequence[UUID]


def list_missing(item_ids: Ids[UUID]) -> list[Missing]:
    """What documents still need of these items."""
    with server_cursor() as cursor:
        cursor.execute(_MISSING, (list(item_ids),))
        return [Missing(item_id, embedded_text(heading, text), others) for item_id, heading, text, others in cursor]


def tell_asked_again(item_ids: Ids[UUID]) -> None:
    """Why these items failed isn't told any longer: they are asked anew."""
    with server_cursor() as cursor:
        cursor.execute(_ASKED_AGAIN, (list(item_ids),))


def list_awaited(*, after: UUID, limit: int) -> Sequence[UUID]:
    """Items whose vectors some chunk waits for, in order."""
    with server_cursor() as cursor:
        cursor.execute(_AWAITED, (after, limit))
        return [row[0] for row in cursor]
