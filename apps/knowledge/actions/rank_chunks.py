"""The two rankings of a search: by meaning (the nearest vectors) and by words, of what a collection holds at one revision."""

import re
from collections.abc import Collection as Ids
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, LiteralString
from uuid import UUID

import psycopg

from apps.knowledge.actions.store_chunks import vector_text
from apps.knowledge.domain.plan import Words, choose_words, is_compared_whole
from apps.knowledge.models import Collection

# How many of each ranking take part when few are wanted.
_LEAST_CANDIDATES = 50
# pgvector takes no more.
_MOST_LOOKED_AT = 1000
_LOOKED_AT = 300
# Of a column's values Postgres knows the frequent ones; when it knows none, nothing is frequent.
_UNKNOWN_FREQUENCY = 0.001

_THERE: LiteralString = """
    chunk.collection_id = %(collection)s AND version.from_revision <= %(revision)s
    AND (version.to_revision IS NULL OR version.to_revision > %(revision)s)
    {narrowed}
"""
# Only where documents are named: a condition that may be none can't be read from an index.
_NARROWED: LiteralString = "AND chunk.document_id = ANY(%(documents)s::uuid[])"
_FROM: LiteralString = "FROM knowledge_chunk AS chunk JOIN knowledge_documentversion AS version ON version.id = chunk.version_id"
# Along the graph, and on until enough were found that the filters let through: any other plan would read the whole table.
_GRAPH = (
    "SELECT set_config('hnsw.ef_search', %s, true), set_config('hnsw.iterative_scan', 'relaxed_order', true), "
    "set_config('hnsw.max_scan_tuples', '1000000', true), set_config('hnsw.scan_mem_multiplier', '4', true), "
    "set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true), set_config('enable_hashjoin', 'off', true), "
    "set_config('enable_mergejoin', 'off', true), set_config('enable_sort', 'off', true)"
)
# Each length of vectors has a graph of its own, which is found by the very words that it was made with.
_LENGTHS: dict[int, LiteralString] = {256: "256", 384: "384", 512: "512", 768: "768", 1024: "1024", 1536: "1536"}
# What the walk finds is nearly in order; with the strict order it would throw away what it finds late.
_BY_GRAPH: LiteralString = f"""
WITH found AS MATERIALIZED (
    SELECT chunk.id, chunk.embedding::vector({{dimensions}}) <#> %(vector)s::vector AS distance {_FROM}
    WHERE {_THERE} AND vector_dims(chunk.embedding) = {{dimensions}} ORDER BY distance LIMIT %(limit)s
)
SELECT id FROM found ORDER BY distance + 0, id
"""  # noqa: S608 -- our own names
# The sum hides the order from the graph's index: what is there is compared, all of it.
_BY_COMPARING: LiteralString = f"""
SELECT chunk.id {_FROM} WHERE {_THERE} AND vector_dims(chunk.embedding) = {{dimensions}}
ORDER BY (chunk.embedding <#> %(vector)s::vector) + 0, chunk.id LIMIT %(limit)s
"""
_PLAIN = (
    "SELECT set_config('enable_seqscan', 'on', true), set_config('enable_bitmapscan', 'on', true), "
    "set_config('enable_hashjoin', 'on', true), set_config('enable_mergejoin', 'on', true), set_config('enable_sort', 'on', true)"
)
_EXCLUDED = re.compile(r"(?:^|\s)-\w")
_LEXEMES = "SELECT lexeme FROM unnest(to_tsvector(%s::regconfig, %s)) ORDER BY positions[1]"
# Behind the shares of the frequent words stands the least of them.
_FREQUENCIES = """
WITH known AS MATERIALIZED (
    SELECT most_common_elems::text::text[] AS elements, most_common_elem_freqs AS shares FROM pg_stats
    WHERE schemaname = current_schema() AND tablename = 'knowledge_chunk' AND attname = 'words' AND most_common_elems IS NOT NULL
)
SELECT NULL, shares[cardinality(elements) + 1] FROM known
UNION ALL
SELECT element, share FROM known, unnest(elements, shares) AS frequent (element, share) WHERE element = ANY(%s)
"""
_STORED = "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'knowledge_chunk'::regclass"
# The words of the question that a chunk holds, each by its weight; among the best of them, how near they stand to each other.
# A chunk's words are unpacked once, by adding nothing to them, not once for each word that they are asked for.
_BY_WORDS: LiteralString = f"""
WITH matched AS MATERIALIZED (
    SELECT chunk.id, chunk.words || ''::tsvector AS words {_FROM} WHERE {_THERE} AND chunk.words @@ %(sought)s::tsquery
), scored AS (
    SELECT matched.id, matched.words, (
        SELECT coalesce(sum(word.weight) FILTER (WHERE matched.words @@ word.lexeme), 0)
        FROM unnest(%(lexemes)s::text[]::tsquery[], %(weights)s::float8[]) AS word (lexeme, weight)
    ) AS score
    FROM matched ORDER BY score DESC, id LIMIT %(limit)s * 4
)
SELECT id FROM scored ORDER BY score DESC, ts_rank_cd(words, %(any)s::tsquery, 1) DESC, id LIMIT %(limit)s
"""  # noqa: S608 -- our own names


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What is searched: a collection at a revision, of these documents alone when any are named; `searched`: how many chunks, about."""

    collection: Collection
    revision: int
    document_ids: Ids[UUID] | None
    searched: int

    def narrow(self, statement: LiteralString) -> LiteralString:
        """The statement for what is searched."""
        narrowed = statement.replace("{narrowed}", "" if self.document_ids is None else _NARROWED)
        return narrowed.replace("{dimensions}", _LENGTHS[self.collection.dimensions])

    def values(self, limit: int) -> dict[str, Any]:
        documents = {} if self.document_ids is None else {"documents": list(self.document_ids)}
        return {"collection": self.collection.id, "revision": self.revision, "limit": limit} | documents


def candidates_for(top_k: int) -> int:
    """How many of each ranking take part."""
    return max(_LEAST_CANDIDATES, 2 * top_k)


def begin_ranking(cursor: psycopg.Cursor[tuple[Any, ...]]) -> None:
    """Once in the transaction: Postgres would compile these statements by their estimated cost, which takes longer than running them."""
    cursor.execute("SET LOCAL jit = off")


def rank_by_vector(cursor: psycopg.Cursor[tuple[Any, ...]], scope: Scope, vector: Sequence[float], *, limit: int) -> list[UUID]:
    """The nearest first. Inside a transaction: how it is looked for is set for that long."""
    if not any(vector):
        return []
    values = scope.values(limit) | {"vector": vector_text(vector)}
    cursor.execute(_STORED)
    stored = int(cursor.fetchall()[0][0])
    if is_compared_whole(searched=scope.searched, stored=stored, looked_at=_LOOKED_AT):
        cursor.execute(scope.narrow(_BY_COMPARING), values)
        return [row[0] for row in cursor]
    cursor.execute(_GRAPH, (str(min(_MOST_LOOKED_AT, max(_LOOKED_AT, 2 * limit))),))
    cursor.execute(scope.narrow(_BY_GRAPH), values)
    found = [row[0] for row in cursor]
    cursor.execute(_PLAIN)
    return found


def rank_by_words(cursor: psycopg.Cursor[tuple[Any, ...]], scope: Scope, query: str, *, limit: int) -> list[UUID]:
    """What holds most of the question's rare words first; words in quotes and `-word` are taken as they are meant."""
    language = scope.collection.language
    cursor.execute(_LEXEMES, (language, query))
    lexemes = [row[0] for row in cursor]
    if not lexemes:
        return []
    words = _choose(cursor, lexemes)
    sought = _written(words.sought, " & " if words.is_all else " | ")
    if _is_deliberate(query):
        cursor.execute("SELECT websearch_to_tsquery(%s::regconfig, %s)::text", (language, query))
        sought = cursor.fetchall()[0][0]
    if not sought:
        return []
    cursor.execute(
        scope.narrow(_BY_WORDS),
        scope.values(limit)
        | {
            "sought": sought,
            "lexemes": [_written([word], "") for word, _ in words.weights],
            "weights": [weight for _, weight in words.weights],
            "any": _written([word for word, _ in words.weights], " | "),
        },
    )
    return [row[0] for row in cursor]


def _choose(cursor: psycopg.Cursor[tuple[Any, ...]], lexemes: list[str]) -> Words:
    cursor.execute(_STORED)
    stored = int(cursor.fetchall()[0][0])
    cursor.execute(_FREQUENCIES, (lexemes,))
    frequencies: dict[str | None, float] = dict(cursor.fetchall())
    least = frequencies.pop(None, _UNKNOWN_FREQUENCY)
    known = {word: share for word, share in frequencies.items() if word}
    return choose_words(lexemes, known, stored=stored, least_frequency=least)


def _is_deliberate(query: str) -> bool:
    return '"' in query or _EXCLUDED.search(query) is not None


def _written(lexemes: Ids[str], between: str) -> str:
    """As Postgres writes a tsquery: each word in quotes, whatever is in it."""
    quoted = ["'" + lexeme.replace("\\", "\\\\").replace("'", "''") + "'" for lexeme in lexemes]
    return between.join(quoted)
