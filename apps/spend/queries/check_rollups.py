"""Whether roll-ups, with what they don't have yet, are the ledgers: asked of both at one moment."""

from datetime import UTC, datetime
from typing import Any

from django.db import transaction

from apps.lib.sql import server_cursor
from apps.spend.domain.spending import SUMS, Cut, Question, Span, Width, cut
from apps.spend.queries.asked import entries_within
from apps.spend.queries.entries import JOB_COSTS, JOB_ROLLUPS, TABLES, Table
from apps.spend.queries.spending import has_all_history

_SUMS = ", ".join(f"sum({name}) AS {name}" for name in SUMS)
_COLUMNS = ("workspace_id",)
_MOST = 100
_EVER = datetime(2200, 1, 1, tzinfo=UTC)


def check_rollups(*, since: datetime) -> list[str]:
    """Every day (or month) of a workspace whose sums differ; none is told while older history is being added."""
    if not has_all_history():
        return []
    return [*(found for table in TABLES for found in _check(table, since)), *_check_costs(since)]


def _check(table: Table, since: datetime) -> list[str]:
    width = Width.MONTH if table.width is Width.MONTH else Width.DAY
    span = Span(width.floor(since), _EVER)
    question = Question(since=span.since, until=span.until)
    told, values = entries_within(question, [table], cut([span], [width]), _COLUMNS)
    ledgers, more = entries_within(question, [], Cut((), (span,)), _COLUMNS)
    days = f"SELECT workspace_id, date_trunc('{width}', created_at, 'UTC') AS day, {{sums}} FROM ({{entries}}) AS entry GROUP BY 1, 2"  # noqa: S608 -- our own names
    compared = ", ".join(f"coalesce(told.{name}, 0)" for name in SUMS), ", ".join(f"coalesce(ledgers.{name}, 0)" for name in SUMS)
    query = f"""
        WITH told AS ({days.format(sums=_SUMS, entries=told)}), ledgers AS ({days.format(sums=_SUMS, entries=ledgers)})
        SELECT format('workspace %%s on %%s: {table.name} has %%s calls of $%%s, the ledgers %%s of $%%s', workspace_id, day::date,
                      told.calls, told.cost_usd, ledgers.calls, ledgers.cost_usd)
        FROM told FULL JOIN ledgers USING (workspace_id, day) WHERE ({compared[0]}) IS DISTINCT FROM ({compared[1]})
        ORDER BY day, workspace_id
    """  # noqa: S608 -- our own names
    return _read(query, values | more)


def _check_costs(since: datetime) -> list[str]:
    """Both are added to at once, so that they are the same without what isn't summed up yet. The first of those that differ."""
    query = f"""
        SELECT format('job %%s: {JOB_COSTS} has $%%s, {JOB_ROLLUPS.name} $%%s', job_id, kept.cost_usd, summed.cost_usd)
        FROM (
            SELECT workspace_id, job_id, sum(cost_usd) AS cost_usd FROM {JOB_ROLLUPS.name}
            WHERE job_id IN (SELECT job_id FROM {JOB_ROLLUPS.name} WHERE begins_at >= %(since)s) GROUP BY 1, 2
        ) AS summed LEFT JOIN {JOB_COSTS} AS kept USING (workspace_id, job_id)
        WHERE kept.cost_usd IS DISTINCT FROM summed.cost_usd ORDER BY job_id LIMIT {_MOST}
    """  # noqa: S608 -- our own names
    return _read(query, {"since": since})


def _read(query: str, values: dict[str, Any]) -> list[str]:
    with transaction.atomic(), server_cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute(query, values)
        return [str(row[0]) for row in cursor]
