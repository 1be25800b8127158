"""Write the items of steps: bodies, items, their places, and the job's count of them, in one transaction."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from uuid import UUID

from django.db import transaction

from apps.jobs.actions.load_items import COPY_ITEMS, ITEM_TYPES, NoLongerWantedError
from apps.jobs.actions.reuse_answers import Input, reuse_inputs
from apps.jobs.actions.ring import ring
from apps.jobs.models import Job
from apps.lib.failpoints import failpoint
from apps.lib.ids import ids_in_order
from apps.lib.sql import begin_short, server_cursor
from apps.traces.actions import store_bodies
from apps.traces.domain.bodies import make_body

_CHUNK_ITEMS = 2000
_CHUNK_BYTES = 8 << 20
_COPY_PLACES = """
COPY jobs_stepitem (item_id, job_id, job_document_id, step, round, part, input_hash, snapshot_id, given)
FROM STDIN (FORMAT BINARY)
"""
_PLACE_TYPES = ["uuid", "uuid", "uuid", "varchar", "int2", "int4", "bytea", "varchar", "int2"]
# Last, because pumps that settle want the row as well. What was cancelled or ran out of time meanwhile gets no more items.
_COUNT = """
UPDATE jobs_job SET total = total + %(made)s, done = done + %(reused)s, reused = reused + %(reused)s
WHERE id = %(job_id)s AND status IN ('running', 'paused')
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewItem:
    """An item that is to be, and its place; without a document it is the job's."""

    job_document_id: UUID | None
    step: str
    round: int
    part: int
    model_id: UUID
    custom_id: str
    body: bytes
    input_hash: bytes
    prompt_version: str = ""
    snapshot_id: str = ""
    given: int | None = None


def write_items(job: Job, items: Sequence[NewItem], *, now: datetime) -> int:
    """How many of them were answered before; the others wait, and are rung for. NoLongerWantedError: the job doesn't run any more.

    The job's lock is held: nobody else adds items to it. `job.total` is counted up with them.
    """
    if not items:
        return 0
    total, reused = job.total, 0
    ids = iter(ids_in_order(len(items)))
    with transaction.atomic():
        for chunk in _chunks(items):
            reused += _write(job, list(islice(ids, len(chunk))), chunk, position=total + 1, now=now)
            total += len(chunk)
        with server_cursor() as cursor:
            cursor.execute(_COUNT, {"made": len(items), "reused": reused, "job_id": job.id})
            if not cursor.rowcount:
                raise NoLongerWantedError
        if reused < len(items):
            ring(lane=job.lane, job_id=job.id)
        failpoint("advance.before_commit")
    failpoint("advance.after_commit")
    job.total = total
    return reused


def _chunks(items: Sequence[NewItem]) -> Iterator[list[NewItem]]:
    chunk: list[NewItem] = []
    size = 0
    for item in items:
        chunk.append(item)
        size += len(item.body)
        if len(chunk) >= _CHUNK_ITEMS or size >= _CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _write(job: Job, ids: Sequence[UUID], items: Sequence[NewItem], *, position: int, now: datetime) -> int:
    bodies = [make_body(job.workspace_id, item.body) for item in items]
    with server_cursor() as cursor:
        begin_short(cursor)
        store_bodies(bodies)
        with cursor.copy(COPY_ITEMS) as copy:
            copy.set_types(ITEM_TYPES)
            for place, (key, item, body) in enumerate(zip(ids, items, bodies, strict=True), start=position):
                copy.write_row((
                    key, job.id, job.workspace_id, item.model_id, job.lane, place, item.custom_id,
                    job.end_user, job.feature, body.id, "waiting", item.prompt_version,
                ))  # fmt: skip
        with cursor.copy(_COPY_PLACES) as copy:
            copy.set_types(_PLACE_TYPES)
            for key, item in zip(ids, items, strict=True):
                place_of = (item.job_document_id, item.step, item.round, item.part)
                copy.write_row((key, job.id, *place_of, item.input_hash, item.snapshot_id, item.given))
    if not job.takes_over:
        return 0
    inputs = [Input(key, item.input_hash, body.id) for key, item, body in zip(ids, items, bodies, strict=True)]
    return reuse_inputs(inputs, workspace_id=job.workspace_id, now=now)
