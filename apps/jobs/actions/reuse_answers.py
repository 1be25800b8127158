"""Reuse what was answered before: items that ask the very same, byte for byte, are done before anything is asked.

For a batch, what the job answered that it names; for steps of recipes, whatever the same workspace was answered to the same input.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.jobs.domain.savings import REUSE
from apps.jobs.models import Job
from apps.lib.sql import server_cursor
from apps.traces.actions import use_bodies

_AT_ONCE = 5000
# One row for each request that has an answer which is still kept. Of the session, so that it is gone with a killed worker; there is no
# index from requests to items, for which every item of every job would pay.
_FIND = """
CREATE TEMPORARY TABLE reusable_answers AS
SELECT DISTINCT ON (request_body_id) request_body_id, coalesce(reused_item_id, id) AS item_id, answer_body_id, status_code, outcome
FROM jobs_item AS item
WHERE job_id = %b AND state = 'done' AND EXISTS (SELECT FROM traces_body WHERE id = item.answer_body_id)
ORDER BY request_body_id, id
"""
_INDEX = "CREATE UNIQUE INDEX ON reusable_answers (request_body_id)"
_PAGE = """
SELECT item.id, old.answer_body_id FROM jobs_item AS item LEFT JOIN reusable_answers AS old USING (request_body_id)
WHERE job_id = %b AND item.id > %b ORDER BY item.id LIMIT %b
"""
_END = f"""
UPDATE jobs_item AS item
SET state = 'done', ended_at = %(now)s, answered_by = '{REUSE}', reused_item_id = old.item_id, answer_body_id = old.answer_body_id,
    status_code = old.status_code, outcome = old.outcome
"""  # noqa: S608 -- a constant
_TAKE = f"""
{_END} FROM reusable_answers AS old
WHERE item.job_id = %(job_id)s AND item.id > %(first)s AND item.id <= %(last)s AND item.state = 'waiting'
  AND item.request_body_id = old.request_body_id AND EXISTS (SELECT FROM traces_body WHERE id = old.answer_body_id)
"""
# The request is compared as well: a dead item may have been run again with another one. Said row by row, since the planner, which knows
# nothing of hashes, would rather read all items of the workspace. The newest are the likeliest to be kept; which it is doesn't matter,
# so that ids of machines whose clocks differ do no harm. Those of this write are not done yet.
# Each input is looked for once, however many ask the same: those of other workspaces, and what waits, are passed over one by one.
_FIND_INPUTS = """
SELECT wanted.id, found.item_id, found.answer_body_id, found.status_code, found.outcome
FROM (
    SELECT DISTINCT ON (input_hash, body_id) input_hash, body_id
    FROM unnest(%(hashes)s::bytea[], %(bodies)s::bytea[]) AS asked (input_hash, body_id)
) AS asked
CROSS JOIN LATERAL (
    SELECT coalesce(item.reused_item_id, item.id) AS item_id, item.answer_body_id, item.status_code, item.outcome
    FROM (
        SELECT item_id FROM jobs_stepitem WHERE input_hash = asked.input_hash ORDER BY item_id DESC
    ) AS known
    CROSS JOIN LATERAL (SELECT * FROM jobs_item WHERE id = known.item_id LIMIT 1) AS item
    WHERE item.workspace_id = %(workspace)s AND item.state = 'done' AND item.request_body_id = asked.body_id
      AND EXISTS (SELECT FROM traces_body WHERE id = item.answer_body_id)
    LIMIT 1
) AS found
JOIN unnest(%(ids)s::uuid[], %(hashes)s::bytea[], %(bodies)s::bytea[]) AS wanted (id, input_hash, body_id) USING (input_hash, body_id)
"""
_TAKE_INPUTS = f"""
{_END} FROM unnest(%(ids)s::uuid[], %(items)s::uuid[], %(answers)s::bytea[], %(codes)s::int4[], %(outcomes)s::text[])
    AS old (id, item_id, answer_body_id, status_code, outcome)
WHERE item.id = old.id AND CASE WHEN item.state = 'waiting' THEN EXISTS (SELECT FROM traces_body WHERE id = old.answer_body_id) END
"""


@dataclass(frozen=True, slots=True)
class Input:
    """What a new item of a step asks."""

    item_id: UUID
    input_hash: bytes
    body_id: bytes


def reuse_answers(job: Job, *, now: datetime) -> int:
    """End those waiting items of a job that is still validated whose request `job.reuses_job_id` has answered; returns how many.

    Call it while nobody else writes items of either: the job's lock is held, and what the earlier job has by now is what counts.
    """
    if job.reuses_job_id is None:
        return 0
    with server_cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS pg_temp.reusable_answers")
        cursor.execute(_FIND, (job.reuses_job_id,))
        cursor.execute(_INDEX)
        cursor.execute("ANALYZE reusable_answers")
    reused, last = 0, UUID(int=0)
    while rows := _page(job.id, last):
        with transaction.atomic(), server_cursor() as cursor:
            # First, so that none of them is forgotten between the look at it and the end of this.
            use_bodies([answer_id for _, answer_id in rows if answer_id is not None])
            cursor.execute(_TAKE, {"job_id": job.id, "first": last, "last": rows[-1][0], "now": now})
            reused += cursor.rowcount
        last = rows[-1][0]
    with server_cursor() as cursor:
        cursor.execute("DROP TABLE pg_temp.reusable_answers")
    return reused


def _page(job_id: UUID, after: UUID) -> list[tuple[UUID, bytes | None]]:
    with server_cursor() as cursor:
        cursor.execute(_PAGE, (job_id, after, _AT_ONCE))
        return cursor.fetchall()


def reuse_inputs(inputs: Sequence[Input], *, workspace_id: UUID, now: datetime) -> int:
    """End those of these new items of steps whose very input has an answer that is still kept; returns how many.

    Inside the transaction that writes them, and that finds few rows by index (`begin_short`).
    """
    wanted = {
        "ids": [one.item_id for one in inputs],
        "hashes": [one.input_hash for one in inputs],
        "bodies": [one.body_id for one in inputs],
        "workspace": workspace_id,
    }
    with server_cursor() as cursor:
        cursor.execute(_FIND_INPUTS, wanted)
        found = cursor.fetchall()
        if not found:
            return 0
        use_bodies([answer_id for _, _, answer_id, _, _ in found])
        columns = [list(column) for column in zip(*found, strict=True)]
        values = dict(zip(("ids", "items", "answers", "codes", "outcomes"), columns, strict=True))
        cursor.execute(_TAKE_INPUTS, values | {"now": now})
        return cursor.rowcount
