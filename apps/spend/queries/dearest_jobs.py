"""Which jobs can be among the dearest, or the most changed: few, where a month may have a million of them.

Within no stretch of time did a job cost more than it did in all. So some jobs that cost much in all are summed up within the stretch,
and whatever cost less in all than the last of these within it can't come before them. Jobs of which something isn't in the sums yet
are looked at in any case. Where too few of those that cost much meet the question's filters, all are summed up.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from apps.spend.domain.spending import Question, Span, cut
from apps.spend.queries.asked import entries_within, jobs_within, only_of_workspaces
from apps.spend.queries.entries import JOB_COSTS, JOB_ROLLUPS

_COLUMNS = ("job_id",)
# So many of the dearest are looked at for those that meet filters.
_MOST = 5000
_IS_BOUND = "EXISTS (SELECT FROM bound)"
# Of two bounds the planner takes it that few rows lie between, and goes by the index; of one alone, that a third of all do.
ANY_COST = Decimal(10**12)


def entries_of_dearest_jobs(question: Question, spans: Sequence[Span], *, amount: str, beyond: str) -> tuple[str, str, dict[str, Any]]:
    """A WITH, and the rows of the jobs that can be among the first `%(limit)s` by an amount, as `entries_within`; with their values.

    The amount is an aggregate, and never more than the job's cost. `beyond`: what only some groups meet, as a HAVING.
    `%(most)s`: what those cost at most that are looked at first.
    """
    parts = cut(spans, [JOB_ROLLUPS.width])
    first, values = entries_within(question, [JOB_ROLLUPS], parts, _COLUMNS, narrowed=[_among("first")])
    narrowed = [f"{_IS_BOUND} AND {_among('chosen')}", f"NOT {_IS_BOUND}"]
    entries, _ = entries_within(question, [JOB_ROLLUPS], parts, _COLUMNS, narrowed=narrowed)
    hull = Span(min(span.since for span in spans), max(span.until for span in spans))
    new, more = jobs_within(question, hull)
    looked_at = _MOST if question.filters else 0
    touching = " AND ".join(["begins_at < %(hull_until)s AND ends_at >= %(hull_since)s", *only_of_workspaces(question)])
    query = f"""
        first AS MATERIALIZED (
            SELECT job_id FROM {JOB_COSTS} WHERE {touching} AND cost_usd <= %(most)s
            ORDER BY cost_usd DESC, job_id LIMIT 2 * %(limit)s + {looked_at}
        ), bound AS MATERIALIZED (
            SELECT {amount} AS usd, job_id FROM ({first}) AS entry JOIN first USING (job_id) GROUP BY job_id {beyond}
            ORDER BY 1 DESC, 2 OFFSET %(limit)s - 1 LIMIT 1
        ), chosen AS MATERIALIZED (
            SELECT job_id FROM {JOB_COSTS}
            WHERE {touching} AND cost_usd >= (SELECT usd FROM bound) AND cost_usd < %(any_cost)s
            AND (cost_usd > (SELECT usd FROM bound) OR job_id <= (SELECT job_id FROM bound))
            UNION {new}
        )
    """  # noqa: S608 -- our own names
    # Of other jobs some rows of the ledgers may be among these: they come to no more than the jobs cost, and so after the last one.
    return query, entries, values | more | {"hull_since": hull.since, "hull_until": hull.until, "any_cost": ANY_COST}


def _among(name: str) -> str:
    """For the planner, an array is short: it goes by the index of jobs."""
    return f"job_id = ANY(ARRAY(SELECT job_id FROM {name}))"  # noqa: S608 -- our own names
