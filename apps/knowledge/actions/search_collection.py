"""Search a collection: two rankings become one, and what was found is frozen, so that whoever cites it can show it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Sum

from apps.knowledge.actions.count_pins import count_pin
from apps.knowledge.actions.pin_snapshot import PinTo, find_pinned, pin_snapshot
from apps.knowledge.actions.rank_chunks import Scope, begin_ranking, candidates_for, rank_by_vector, rank_by_words
from apps.knowledge.adapters.local_embedder import embed_texts
from apps.knowledge.domain.fusion import Found, fuse
from apps.knowledge.domain.request import Mode, SearchRequest, digest
from apps.knowledge.models import DOCUMENT_PREFIX, Chunk, Collection, Document, Snapshot
from apps.knowledge.queries import versions_at
from apps.lib.http_errors import ApiError
from apps.lib.ids import parse_public_id
from apps.lib.sql import server_cursor


@dataclass(frozen=True, slots=True)
class _Passage:
    """What of a chunk is frozen besides its place in the result."""

    chunk: Chunk
    version_number: int


def needed_embedder(*, collection_id: UUID, request: SearchRequest, pin_to: PinTo | None = None) -> str:
    """The provider's model that must make the question's vector before this search; empty when none need be asked.

    ApiError 400 as for the search itself, so that nobody is asked in vain.
    """
    collection = Collection.objects.get(id=collection_id)
    _revision(collection, request.as_of)
    _document_ids(collection, request)
    is_known = pin_to and find_pinned(workspace_id=collection.workspace_id, pin_to=pin_to, query_key=request.key(collection.public_id))
    return "" if collection.is_local or request.mode == Mode.TEXT or is_known else collection.embedder


def search_collection(
    *, collection_id: UUID, request: SearchRequest, pin_to: PinTo | None = None, vector: Sequence[float] | None = None
) -> Snapshot:
    """The snapshot of what was found; with `pin_to` the one that this state has for the question already, if it has.

    `vector`: the question's, by the collection's embedder, where `needed_embedder` says that one is needed.
    ApiError 400 for a revision that is yet to come, and for documents that are not in the collection.
    """
    collection = Collection.objects.get(id=collection_id)
    key = request.key(collection.public_id)
    if pin_to and (pinned := find_pinned(workspace_id=collection.workspace_id, pin_to=pin_to, query_key=key)):
        count_pin("read")
        return pinned
    if collection.is_local and request.mode != Mode.TEXT:
        (vector,) = embed_texts([request.query])
    revision = _revision(collection, request.as_of)
    document_ids = _document_ids(collection, request)
    with transaction.atomic(), server_cursor() as cursor:
        scope = Scope(
            collection=collection,
            revision=revision,
            document_ids=document_ids,
            searched=_count_searched(collection, revision, document_ids),
        )
        limit = candidates_for(request.top_k)
        begin_ranking(cursor)
        by_vector = rank_by_vector(cursor, scope, _required(vector), limit=limit) if request.mode != Mode.TEXT else []
        by_words = rank_by_words(cursor, scope, request.query, limit=limit) if request.mode != Mode.VECTOR else []
    found = fuse(by_vector, by_words, most=request.top_k)
    snapshot = _freeze(collection, request, revision, found)
    if pin_to is None:
        return snapshot
    return pin_snapshot(snapshot=snapshot, pin_to=pin_to, query_key=key)


def _required(vector: Sequence[float] | None) -> Sequence[float]:
    if vector is None:
        msg = "A collection whose vectors a provider makes is searched with the question's vector."
        raise ValueError(msg)
    return vector


def _revision(collection: Collection, as_of: int | None) -> int:
    if as_of is not None and as_of > collection.revision:
        message = f"The collection {collection.name!r} is at revision {collection.revision}; there is no {as_of} yet."
        raise ApiError(400, "invalid_value", message, param="as_of")
    return collection.revision if as_of is None else as_of


def _document_ids(collection: Collection, request: SearchRequest) -> list[UUID] | None:
    """Deleted documents too: an older revision has them."""
    if not request.document_ids and not request.metadata:
        return None
    documents = Document.objects.filter(collection=collection)
    if request.document_ids:
        keys = {text: parse_public_id(DOCUMENT_PREFIX, text) for text in request.document_ids}
        documents = documents.filter(id__in=[key for key in keys.values() if key])
        known = set(documents.values_list("id", flat=True))
        if strange := [text for text, key in keys.items() if key not in known]:
            message = f"No such document in the collection {collection.name!r}: {strange[0][:100]!r}."
            raise ApiError(400, "invalid_value", message, param="document_ids")
    if request.metadata:
        documents = documents.filter(metadata__contains=request.metadata)
    return list(documents.values_list("id", flat=True))


def _count_searched(collection: Collection, revision: int, document_ids: Sequence[UUID] | None) -> int:
    if document_ids is None and revision == collection.revision:
        return collection.chunk_count
    versions = versions_at(collection.id, revision)
    if document_ids is not None:
        versions = versions.filter(document_id__in=document_ids)
    return versions.aggregate(chunks=Sum("chunk_count"))["chunks"] or 0


def _freeze(collection: Collection, request: SearchRequest, revision: int, found: Sequence[Found]) -> Snapshot:
    """The same result has the same id, and is stored once."""
    passages = _read(found)
    content = request.as_json() | {
        "collection": str(collection.id),
        "embedder": collection.embedder,
        "revision": revision,
        "results": [_result(one, passages[one.chunk_id]) for one in found],
    }
    snapshot = Snapshot(
        id=digest(content),
        workspace_id=collection.workspace_id,
        collection=collection,
        revision=revision,
        query=request.query,
        content=content,
    )
    Snapshot.objects.bulk_create([snapshot], ignore_conflicts=True)
    return Snapshot.objects.get(id=snapshot.id)


def _read(found: Sequence[Found]) -> dict[UUID, _Passage]:
    chunks = Chunk.objects.filter(id__in=[one.chunk_id for one in found]).defer("words", "embedding")
    return {chunk.id: _Passage(chunk, chunk.number) for chunk in chunks.annotate(number=F("version__number"))}


def _result(found: Found, passage: _Passage) -> dict[str, Any]:
    chunk = passage.chunk
    return {
        "chunk": str(chunk.id),
        "document": str(chunk.document_id),
        "version": passage.version_number,
        "anchor": chunk.anchor,
        "score": found.score,
        "vector_rank": found.vector_rank,
        "text_rank": found.text_rank,
        "text_sha256": hashlib.sha256(chunk.text.encode()).hexdigest(),
    }
