"""Hold jobs whose budget is used up: nothing more of them is claimed until that budget is raised or begins anew."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import structlog
from django.db import transaction

from apps.jobs.actions.release_held import release_held
from apps.jobs.actions.settle import LOCK_JOBS
from apps.lib.sql import server_cursor
from apps.spend.queries.rooms import list_with_room

log = structlog.get_logger(__name__)

_HOLD = """
UPDATE jobs_job AS job SET held_by_id = held.budget_id, held_until = held.until, held_needs_usd = held.amount
FROM unnest(%b::uuid[], %b::uuid[], %b::timestamptz[], %b::numeric[]) AS held (id, budget_id, until, amount)
WHERE job.id = held.id AND job.status = 'running'
"""


@dataclass(frozen=True, slots=True)
class Hold:
    """A job, and the budget that has no room for `amount_usd` more of it until then (None: until it is raised)."""

    job_id: UUID
    budget_id: UUID
    until: datetime | None
    amount_usd: Decimal


def hold_jobs(held: Sequence[Hold]) -> None:
    """After the claim has committed: budgets' counters are locked after jobs everywhere else.

    A budget that is raised meanwhile lets go of the jobs that it holds; so after the holds stand it is looked at once more.
    """
    by_job = {hold.job_id: hold for hold in held}
    if not by_job:
        return
    rows = [by_job[job_id] for job_id in sorted(by_job)]
    with transaction.atomic(), server_cursor() as cursor:
        cursor.execute(LOCK_JOBS, (sorted(by_job),))
        columns = ([row.job_id for row in rows], [row.budget_id for row in rows], [row.until for row in rows])
        cursor.execute(_HOLD, (*columns, [row.amount_usd for row in rows]))
    log.info("jobs_held", jobs=[str(row.job_id) for row in rows[:5]], number=len(rows))
    for budget_id in _raised(rows):
        release_held(budget_id=budget_id)


def _raised(rows: Iterable[Hold]) -> list[UUID]:
    return list_with_room({row.budget_id: row.amount_usd for row in sorted(rows, key=lambda row: -row.amount_usd)})
