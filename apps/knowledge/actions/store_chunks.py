"""Store a version's chunks, in groups, each fenced by the claim. Searches don't find them before it is published.

The local embedder's vectors are stored with them; those of a provider's model come later (`store_vectors`).
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import psycopg
from django.db import transaction

from apps.knowledge.actions.hold_version import Claim, ClaimLostError
from apps.knowledge.adapters.local_embedder import embed_texts
from apps.knowledge.domain.chunks import Piece
from apps.knowledge.domain.embedders import embedded_text, text_key
from apps.knowledge.models import Collection, DocumentVersion
from apps.lib.failpoints import failpoint
from apps.lib.ids import ids_in_order
from apps.lib.sql import server_cursor

_AT_ONCE = 256
_LONGEST_ANCHOR, _LONGEST_HEADING = 200, 500
# Shared: whoever takes the version over waits for the group, and the next group sees it.
_STILL_MINE = "SELECT 1 FROM knowledge_documentversion WHERE id = %s AND claim_id = %s AND status = 'pending' FOR SHARE"
_CLEAR = "DELETE FROM knowledge_chunk WHERE version_id = %s"
_INSERT = """
INSERT INTO knowledge_chunk (id, collection_id, document_id, version_id, position, anchor, heading, start, "end", text, words, embedding,
    text_key)
SELECT piece.id, %(collection)s, %(document)s, %(version)s, piece.position, piece.anchor, piece.heading, piece.start, piece.until,
    piece.text, to_tsvector(%(language)s::regconfig, piece.heading || ' ' || piece.text), piece.embedding::vector, piece.text_key
FROM unnest(%(ids)s::uuid[], %(positions)s::int[], %(anchors)s::text[], %(headings)s::text[], %(starts)s::int[], %(ends)s::int[],
    %(texts)s::text[], %(embeddings)s::text[], %(text_keys)s::uuid[])
    AS piece (id, position, anchor, heading, start, until, text, embedding, text_key)
"""
# Ids of their own, made of the time like all others.
_COPY = """
INSERT INTO knowledge_chunk (id, collection_id, document_id, version_id, position, anchor, heading, start, "end", text, words, embedding,
    text_key)
SELECT ids.id, twin.collection_id, %(document)s, %(version)s, twin.position, twin.anchor, twin.heading, twin.start, twin."end", twin.text,
    twin.words, twin.embedding, twin.text_key
FROM (SELECT *, row_number() OVER (ORDER BY position) AS place FROM knowledge_chunk WHERE version_id = %(twin)s) AS twin
JOIN unnest(%(ids)s::uuid[]) WITH ORDINALITY AS ids (id, place) ON ids.place = twin.place
"""


def store_chunks(claim: Claim, version: DocumentVersion, pieces: Sequence[Piece]) -> None:
    """All of them; ClaimLostError leaves the groups before it, for the next reader to remove."""
    _begin(claim)
    collection = version.document.collection
    for start in range(0, len(pieces), _AT_ONCE):
        group = pieces[start : start + _AT_ONCE]
        values = _columns(collection, group) | {
            "collection": collection.id,
            "document": version.document_id,
            "version": version.id,
            "language": collection.language,
        }
        with transaction.atomic(), server_cursor() as cursor:
            _require(cursor, claim)
            cursor.execute(_INSERT, values)
        failpoint("extract.group_stored")


def copy_chunks(claim: Claim, version: DocumentVersion, *, twin: DocumentVersion) -> bool:
    """The same chunks as another version of the same bytes has, which is of the same collection; False when it has lost some meanwhile."""
    _begin(claim)
    values = {"document": version.document_id, "version": version.id, "twin": twin.id, "ids": ids_in_order(twin.chunk_count)}
    with transaction.atomic(), server_cursor() as cursor:
        _require(cursor, claim)
        cursor.execute(_COPY, values)
        return cursor.rowcount == twin.chunk_count


def _begin(claim: Claim) -> None:
    """Remove what a reader left that was lost."""
    with transaction.atomic(), server_cursor() as cursor:
        _require(cursor, claim)
        cursor.execute(_CLEAR, (claim.version_id,))


def _require(cursor: psycopg.Cursor[tuple[Any, ...]], claim: Claim) -> None:
    cursor.execute(_STILL_MINE, (claim.version_id, claim.claim_id))
    if cursor.fetchone() is None:
        raise ClaimLostError


def _columns(collection: Collection, group: Sequence[Piece]) -> dict[str, Any]:
    texts = [embedded_text(piece.heading[:_LONGEST_HEADING], piece.text) for piece in group]
    embeddings = [vector_text(vector) for vector in embed_texts(texts)] if collection.is_local else [None] * len(group)
    return {
        "ids": ids_in_order(len(group)),
        "positions": [piece.position for piece in group],
        "anchors": [piece.anchor[:_LONGEST_ANCHOR] for piece in group],
        "headings": [piece.heading[:_LONGEST_HEADING] for piece in group],
        "starts": [piece.start for piece in group],
        "ends": [piece.end for piece in group],
        "texts": [piece.text for piece in group],
        "embeddings": embeddings,
        "text_keys": [None if collection.is_local else _key(collection, text) for text in texts],
    }


def _key(collection: Collection, text: str) -> UUID:
    return text_key(workspace_id=collection.workspace_id, embedder=collection.embedder, dimensions=collection.dimensions, text=text)


def vector_text(vector: Sequence[float]) -> str:
    """As Postgres reads it."""
    return "[" + ",".join([f"{value:.7g}" for value in vector]) + "]"
