"""Load good lines as waiting items, in chunks of one short transaction each: bodies once each, items by binary COPY."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from uuid import UUID

from django.db import connections, transaction

from apps.jobs.domain.intake import ItemSpec
from apps.jobs.models import Job
from apps.lib.ids import uuid7
from apps.lib.sql import server_cursor
from apps.traces.actions import store_bodies
from apps.traces.domain.bodies import NewBody, make_body

_CHUNK_LINES = 2000
_CHUNK_BYTES = 8 << 20
COPY_ITEMS = """
COPY jobs_item (id, job_id, workspace_id, model_id, lane, position, custom_id, end_user, feature, request_body_id, state,
               prompt_version)
FROM STDIN (FORMAT BINARY)
"""
ITEM_TYPES = ["uuid"] * 4 + ["varchar", "int4", "varchar", "varchar", "varchar", "bytea", "varchar", "varchar"]
# Shared, so that a cancel (which updates the row) waits for the chunk, and the next chunk sees it.
_STILL_WANTED = "SELECT 1 FROM jobs_job WHERE id = %s AND status = 'validating' FOR SHARE"


class NoLongerWantedError(Exception):
    """The job has been cancelled while its lines were loaded."""


@dataclass(slots=True)
class _Chunk:
    specs: list[ItemSpec]
    bodies: list[NewBody]


def load_items(job: Job, specs: Iterable[ItemSpec], *, first_model_id: UUID | None = None) -> int:
    """Store all of `specs`; returns how many. NoLongerWantedError leaves the chunks before it, for the caller to remove.

    With a first model the items stand in line for that one.
    """
    total = 0
    last_id = UUID(int=0)
    for chunk in _read_ahead(_chunks(job.workspace_id, specs)):
        with transaction.atomic(), server_cursor() as cursor:
            cursor.execute(_STILL_WANTED, (job.id,))
            if cursor.fetchone() is None:
                raise NoLongerWantedError
            store_bodies(chunk.bodies)
            with cursor.copy(COPY_ITEMS) as copy:
                copy.set_types(ITEM_TYPES)
                for spec, body in zip(chunk.specs, chunk.bodies, strict=True):
                    last_id = next_id(last_id)
                    copy.write_row((
                        last_id, job.id, job.workspace_id, first_model_id or spec.model_id, job.lane, spec.position, spec.custom_id,
                        spec.end_user, spec.feature, body.id, "waiting", spec.prompt_version,
                    ))  # fmt: skip
        total += len(chunk.specs)
    return total


def _read_ahead(chunks: Iterator[_Chunk]) -> Iterator[_Chunk]:
    """Make the next chunk in a thread while Postgres takes this one; about a tenth faster where both share two cores."""
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as reader:
        try:
            upcoming = reader.submit(next, chunks, None)
            while (chunk := upcoming.result()) is not None:
                upcoming = reader.submit(next, chunks, None)
                yield chunk
        finally:
            # Prompts may have been read in it, by a connection of its own.
            reader.submit(connections.close_all).result()


def _chunks(workspace_id: UUID, specs: Iterable[ItemSpec]) -> Iterator[_Chunk]:
    chunk, size = _Chunk([], []), 0
    for spec in specs:
        chunk.specs.append(spec)
        chunk.bodies.append(make_body(workspace_id, spec.body))
        size += len(spec.body)
        if len(chunk.specs) >= _CHUNK_LINES or size >= _CHUNK_BYTES:
            yield chunk
            chunk, size = _Chunk([], []), 0
    if chunk.specs:
        yield chunk


def next_id(last: UUID) -> UUID:
    """Ids grow with the line's position even when the clock is set back."""
    fresh = uuid7()
    return fresh if fresh.int > last.int else UUID(int=last.int + 1)
