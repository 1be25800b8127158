"""Which end users can be among the dearest, or the most changed: found by sums of floating point, which take half the time of exact ones.

Such a sum is off by less than a billionth of what is added up (a sum of n costs by n / 2^53 of it). Whoever is left out by more than that
comes after the last one of the exact answer, too; the others are summed up exactly, by the index of their names.
"""

from collections.abc import Sequence
from typing import Any

from apps.spend.domain.spending import Cut, Question
from apps.spend.queries.asked import entries_within
from apps.spend.queries.entries import Table

_COLUMNS = ("end_user",)
# For the planner, an array is short: it goes by the index of names.
_AMONG = "end_user = ANY(ARRAY(SELECT end_user FROM chosen))"
# Beyond a billionth on either side.
_SLACK = "3e-9::float8"


def entries_of_dearest_users(question: Question, ladder: Sequence[Table], parts: Cut) -> tuple[str, str, dict[str, Any]]:
    """A WITH, and the rows of those that can be among the first `%(limit)s` by their costs, as `entries_within`; with their values."""
    return _chosen(question, ladder, parts, sums="sum(cost_usd::float8) AS most, 0::float8 AS off", leave="true")


def entries_of_most_changed_users(question: Question, ladder: Sequence[Table], parts: Cut) -> tuple[str, str, dict[str, Any]]:
    """The same by how far what was spent from `%(since)s` on lies from what was spent before. Who spent nothing at all has not changed."""
    change = "abs(sum(CASE WHEN created_at < %(since)s THEN -cost_usd::float8 ELSE cost_usd::float8 END))"
    return _chosen(question, ladder, parts, sums=f"{change} AS most, sum(cost_usd::float8) AS off", leave="off > 0")


def _chosen(question: Question, ladder: Sequence[Table], parts: Cut, *, sums: str, leave: str) -> tuple[str, str, dict[str, Any]]:
    """`most`: about how much it is; `off`: of what that may be off by a billionth, besides itself."""
    found, values = entries_within(question, ladder, parts, _COLUMNS)
    narrowed, _ = entries_within(question, ladder, parts, _COLUMNS, narrowed=[_AMONG])
    query = f"""
        about AS MATERIALIZED (
            SELECT * FROM (SELECT end_user, {sums} FROM ({found}) AS entry GROUP BY end_user) AS summed WHERE {leave}
        ), chosen AS MATERIALIZED (
            SELECT end_user FROM about WHERE most + {_SLACK} * (most + off) >= coalesce(
                (SELECT most - {_SLACK} * (most + off) AS least FROM about ORDER BY least DESC OFFSET %(limit)s - 1 LIMIT 1), 0
            )
        )
    """  # noqa: S608 -- our own names
    # What isn't summed up yet is not narrowed by its condition.
    return query, f"SELECT entry.* FROM ({narrowed}) AS entry JOIN chosen USING (end_user)", values  # noqa: S608 -- our own names
