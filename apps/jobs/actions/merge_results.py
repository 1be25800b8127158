"""Merge the lines of a job's next output file: what its items came to, and of the file before what nothing else knows any more."""

from collections.abc import Iterator
from itertools import islice
from uuid import UUID

from apps.files.queries import FileGoneError, open_file
from apps.jobs.domain.result_lines import is_gone, item_of
from apps.jobs.models import Job
from apps.jobs.queries import SUCCEEDED, result_chunks
from apps.lib.sql import server_cursor

_LINES = 500
# Written anew, or not at all: its answer is there, or it is no success any more.
_KNOWN = """
SELECT id FROM jobs_item AS item
WHERE id = ANY(%b::uuid[]) AND (state <> 'done' OR EXISTS (SELECT 1 FROM traces_body WHERE id = item.answer_body_id))
"""


def merge_results(job: Job) -> Iterator[bytes]:
    """In constant memory. Items and answers may have been forgotten since the file before was written; its lines stay as they are."""
    if job.output_file_id is None:
        yield from result_chunks(job.id, states=SUCCEEDED)
        return
    try:
        yield from _kept_lines(job.output_file_id)
    except FileGoneError:
        yield from result_chunks(job.id, states=SUCCEEDED)
        return
    for chunk in result_chunks(job.id, states=SUCCEEDED):
        yield b"".join(line for line in chunk.splitlines(keepends=True) if not is_gone(line))


def _kept_lines(file_id: UUID) -> Iterator[bytes]:
    with open_file(file_id) as stream:
        # One iterator for all: a new one would begin at the file's first line again.
        rest = iter(stream)
        while lines := list(islice(rest, _LINES)):
            ids = [item_of(line) for line in lines]
            with server_cursor() as cursor:
                cursor.execute(_KNOWN, (ids,))
                known = {row[0] for row in cursor}
            if kept := [line for line, item_id in zip(lines, ids, strict=True) if item_id not in known]:
                yield b"".join(kept)
