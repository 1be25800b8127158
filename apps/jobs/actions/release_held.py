"""Let go of what a budget has held: it was raised, topped up, or begins anew."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Least

from apps.jobs.actions.ring import ring
from apps.jobs.models import Aside
from apps.lib.advisory_lock import advisory_lock
from apps.lib.sql import begin_short, server_cursor
from apps.spend.domain.budgets import ScopeKind
from apps.spend.queries import find_budget

if TYPE_CHECKING:
    from apps.spend.models import Budget

# That it was held until now tells how long its items have waited for a worker.
_RELEASE = """
UPDATE jobs_job SET held_by_id = NULL, held_until = statement_timestamp(), held_needs_usd = NULL
WHERE id IN (SELECT id FROM jobs_job WHERE held_by_id = %b AND ended_at IS NULL ORDER BY id FOR NO KEY UPDATE)
RETURNING lane
"""
# What had gone aside for the budget of an end user or a feature; which one it was, the next claim finds out. By id, each once: what a
# claim sets aside again meanwhile lies behind. In the order of an index, for sorting all that wait would be done for each bite.
_RECALL = """
WITH chosen AS MATERIALIZED (
    SELECT item.id FROM jobs_item AS item
    WHERE item.state = 'waiting' AND item.error_code = 'budget_exhausted' AND item.not_before > statement_timestamp()
      AND {workspace} AND item.{subject} = %(subject)s AND item.id > %(after)s
    ORDER BY item.id LIMIT %(at_once)s
), recalled AS (
    UPDATE jobs_item AS item SET not_before = statement_timestamp(), error_code = '' FROM chosen
    WHERE item.id = chosen.id AND item.state = 'waiting' AND item.error_code = 'budget_exhausted'
    RETURNING item.job_id
)
SELECT (SELECT count(*) FROM chosen), (SELECT max(id::text)::uuid FROM chosen), (SELECT count(*) FROM recalled),
       (SELECT array_agg(DISTINCT job.lane) FROM recalled JOIN jobs_job AS job ON job.id = recalled.job_id)
"""
_IN_ORDER = "SELECT set_config('enable_sort', 'off', true)"
_SUBJECTS = {ScopeKind.USER: "end_user", ScopeKind.FEATURE: "feature"}
_AT_ONCE = 5000


def release_held(*, budget_id: UUID) -> int:
    """Make what waits for this budget claimable, and ring; returns how many jobs and items. Whether they fit now, the claim decides."""
    jobs = _release_jobs(budget_id)
    # One at a time: whoever comes meanwhile leaves the items to the first, and what was raised meanwhile to the sweep.
    with advisory_lock(budget_id) as is_mine:
        return jobs + (_recall(budget_id) if is_mine else 0)


def _release_jobs(budget_id: UUID) -> int:
    with transaction.atomic(), server_cursor() as cursor:
        cursor.execute(_RELEASE, (budget_id,))
        lanes = [row[0] for row in cursor]
        for lane in set(lanes):
            ring(lane=lane)
    return len(lanes)


def _recall(budget_id: UUID) -> int:
    """The items, in bites: what one has brought back is at work while the next one goes on. Broken off, the sweep begins it again."""
    budget, aside = find_budget(budget_id), Aside.objects.filter(budget_id=budget_id)
    # From now on the need is that of what goes aside anew; that of the others counts until they are back.
    aside.update(recalled_usd=Least("recalled_usd", "needs_usd"), needs_usd=None)
    items = sum(_bites(budget)) if budget is not None and budget.scope in _SUBJECTS else 0
    aside.filter(needs_usd=None).delete()
    aside.update(recalled_usd=None)
    return items


def _bites(budget: "Budget") -> Iterator[int]:
    """How many came back with each."""
    statement, values = _statement(budget)
    chosen, after = _AT_ONCE, UUID(int=0)
    while chosen == _AT_ONCE:
        with transaction.atomic(), server_cursor() as cursor:
            begin_short(cursor)
            cursor.execute(_IN_ORDER)
            cursor.execute(statement, values | {"after": after})
            chosen, last, recalled, lanes = cursor.fetchall()[0]
            for lane in lanes or ():
                ring(lane=lane)
        after = last or after
        yield recalled


def _statement(budget: "Budget") -> tuple[str, dict[str, Any]]:
    """Of one bite, with its values but for where it begins."""
    workspace = "item.workspace_id = %(workspace_id)s" if budget.workspace_id else "%(workspace_id)s::uuid IS NULL"
    statement = _RECALL.format(workspace=workspace, subject=_SUBJECTS[ScopeKind(budget.scope)])
    return statement, {"workspace_id": budget.workspace_id, "subject": budget.subject, "at_once": _AT_ONCE}
