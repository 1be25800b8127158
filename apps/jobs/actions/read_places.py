"""Read how the steps of a job's documents stand, and what they were answered: by place, a page of documents at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import transaction

from apps.jobs.domain.fold import Place
from apps.jobs.domain.next_asks import Standing, Standings
from apps.lib.sql import begin_short, server_cursor

DOCUMENTS_AT_ONCE = 500
# Through the index of places, step by step; an index for it alone would be written with every item.
_STANDINGS = """
SELECT place.job_document_id, place.step, place.round, count(*), count(*) FILTER (WHERE item.state = 'done'),
       count(*) FILTER (WHERE item.state = 'dead')
FROM jobs_stepitem AS place JOIN jobs_item AS item ON item.id = place.item_id
WHERE place.job_id = %(job)s AND place.step = ANY(%(steps)s::text[]) AND {whose}
GROUP BY place.job_document_id, place.step, place.round
"""
_WHOSE = "place.job_document_id = ANY(%(documents)s::uuid[])"
_OF_DOCUMENTS = _STANDINGS.format(whose=_WHOSE)
_OF_JOB = _STANDINGS.format(whose="place.job_document_id IS NULL")
_DOCUMENTS = """
SELECT id, position, document_id, version_id, name FROM jobs_jobdocument
WHERE job_id = %b AND position > %b AND state = ANY(%b::text[]) ORDER BY position LIMIT %b
"""
_PLACES = """
SELECT place.job_document_id, place.step, place.round, place.part, item.id, item.answer_body_id
FROM jobs_stepitem AS place JOIN jobs_item AS item ON item.id = place.item_id
WHERE place.job_id = %(job)s AND place.step = ANY(%(steps)s::text[]) AND {whose}
"""
_PLACES_OF_DOCUMENTS = _PLACES.format(whose=_WHOSE)
_PLACES_OF_JOB = _PLACES.format(whose="place.job_document_id IS NULL")


@dataclass(frozen=True, slots=True)
class DocumentOfJob:
    """A document of a job, with how the steps stand that ask for it."""

    id: UUID
    position: int
    document_id: UUID
    version_id: UUID
    name: str
    standings: dict[tuple[str, int], Standing] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answered:
    """An item of a place, and the body of its answer, if it has one."""

    item_id: UUID
    body_id: bytes | None


Places = dict[tuple[UUID | None, str], dict[Place, Answered]]
"""By document (None: the job) and step."""


def last_answer(places: dict[Place, Answered]) -> Answered:
    """What a step came to: its last round leaves one result."""
    return places[max(round_ for round_, _ in places), 0]


def read_documents(job_id: UUID, *, states: Sequence[str], after: int = 0) -> Iterator[list[DocumentOfJob]]:
    """In pages, by position; without standings."""
    while True:
        with server_cursor() as cursor:
            cursor.execute(_DOCUMENTS, (job_id, after, list(states), DOCUMENTS_AT_ONCE))
            page = [DocumentOfJob(*row) for row in cursor]
        if not page:
            return
        after = page[-1].position
        yield page


def read_open_documents(job_id: UUID, steps: Sequence[str]) -> Iterator[list[DocumentOfJob]]:
    """Those that are on their way, in pages, each with how these steps stand."""
    for page in read_documents(job_id, states=["open"]):
        by_id = {document.id: document for document in page}
        for document_id, step, round_, *counts in _select(_OF_DOCUMENTS, {"job": job_id, "steps": list(steps), "documents": list(by_id)}):
            by_id[document_id].standings[step, round_] = Standing(*counts)
        yield page


def read_job_standings(job_id: UUID, steps: Sequence[str]) -> Standings:
    """How the steps stand that ask for all documents together."""
    rows = _select(_OF_JOB, {"job": job_id, "steps": list(steps)}) if steps else []
    return {(step, round_): Standing(*counts) for _, step, round_, *counts in rows}


def read_places(job_id: UUID, steps: Sequence[str], documents: Sequence[UUID] | None) -> Places:
    """What these steps came to for these documents (None: for the job), as far as they were asked."""
    query = _PLACES_OF_JOB if documents is None else _PLACES_OF_DOCUMENTS
    values = {"job": job_id, "steps": list(steps), "documents": list(documents or ())}
    places: Places = {}
    for document_id, step, round_, part, item_id, body_id in _select(query, values) if steps else []:
        places.setdefault((document_id, step), {})[round_, part] = Answered(item_id, body_id)
    return places


def _select(query: str, values: Any) -> list[tuple[Any, ...]]:
    """Few rows of big tables, each found by an index."""
    with transaction.atomic(), server_cursor() as cursor:
        begin_short(cursor)
        cursor.execute(query, values)
        return cursor.fetchall()
