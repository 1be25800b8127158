"""Which budgets hold work back. A million jobs may be held, by one budget or each by its own: nothing here reads them all."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.lib.sql import server_cursor

# Where one budget holds nearly all jobs, the planner would look for each other one through all rows.
_BY_INDEX = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off"

# From one budget to the next along the index, whatever number of jobs each holds.
_HOLDING = """
WITH RECURSIVE held AS (
    (SELECT held_by_id FROM jobs_job WHERE ended_at IS NULL AND held_by_id IS NOT NULL ORDER BY held_by_id DESC LIMIT 1)
    UNION ALL
    SELECT (SELECT job.held_by_id FROM jobs_job AS job WHERE job.ended_at IS NULL AND job.held_by_id < held.held_by_id
            ORDER BY job.held_by_id DESC LIMIT 1)
    FROM held WHERE held.held_by_id IS NOT NULL
), candidates AS (
    SELECT unnest(%(known)s::uuid[]) AS id
    UNION (SELECT held_by_id FROM held WHERE held_by_id IS NOT NULL LIMIT %(newest)s)
    UNION (SELECT budget_id FROM jobs_aside ORDER BY budget_id DESC LIMIT %(newest)s)
)
SELECT id FROM candidates
WHERE EXISTS (SELECT FROM jobs_aside WHERE budget_id = candidates.id)
   OR EXISTS (SELECT FROM jobs_job AS job WHERE job.held_by_id = candidates.id AND job.ended_at IS NULL
              AND (job.held_until IS NULL OR job.held_until > %(now)s))
"""


def list_holding_budgets(*, now: datetime, known: Collection[UUID], newest: int) -> set[UUID]:
    """The ids of the budgets that hold back jobs, or items of them: of `known` all that do, of the others so many of the newest."""
    with transaction.atomic(), server_cursor() as cursor:
        cursor.execute(_BY_INDEX)
        cursor.execute(_HOLDING, {"known": list(known), "newest": newest, "now": now})
        return {row[0] for row in cursor}
