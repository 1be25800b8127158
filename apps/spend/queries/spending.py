"""Questions about spend, answered from roll-ups; what these don't have yet, and what a question cuts out of an hour, from the ledgers.

Each answer is one statement, which sees one moment: so a row is in the sums or beside them, never both and never neither.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db import transaction

from apps.lib.sql import server_cursor
from apps.spend.domain.spending import (
    SUMS,
    Cut,
    Dimension,
    Forecast,
    HourOfWork,
    Move,
    Point,
    Question,
    QuestionError,
    Slice,
    Span,
    Step,
    Sums,
    Width,
    before,
    cut,
    day_of,
    days_of,
    forecast_month,
    hours_of,
    month_of,
    read_sums,
    week_before,
)
from apps.spend.models import Charge, RollupMark
from apps.spend.queries.asked import entries_within
from apps.spend.queries.dearest_jobs import ANY_COST, entries_of_dearest_jobs
from apps.spend.queries.dearest_users import entries_of_dearest_users, entries_of_most_changed_users
from apps.spend.queries.entries import LADDERS, SOURCES, Table, seal_of

# Postgres adds whole numbers up to a numeric.
_ALL = ", ".join(f"coalesce(sum({name}), 0)" + ("" if name.endswith("_usd") else "::int8") for name in SUMS)
# Many values are added up by hashing, which would be written to disk otherwise. What the planner takes for a lot of rows are few, so that
# neither workers nor compiling are worth their start.
_PREPARE = "SET LOCAL work_mem = '64MB'; SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL jit = off"
_MANY = {Dimension.JOB, Dimension.END_USER}


def has_all_history() -> bool:
    """Whether the sums hold what was written before they were kept; after an upgrade that takes some minutes.

    They don't either when the release before has added to them since, which doesn't know of all tables.
    """
    marks = list(RollupMark.objects.values_list("before", "history_after", "seal"))
    return len(marks) == len(SOURCES) and all(not after and seal == seal_of(before, after) for before, after, seal in marks)


def has_charges(workspace_ids: Sequence[UUID] | None) -> bool:
    """Whether anything was ever spent in these workspaces (None: in any)."""
    charges = Charge.objects.all()
    return (charges if workspace_ids is None else charges.filter(workspace_id__in=workspace_ids)).exists()


def sum_spending(question: Question) -> Sums:
    """All of it together."""
    ((*sums,),) = _ask(f"SELECT {_ALL} FROM ({{entries}}) AS entry", question, _ladder_of(question), ())  # noqa: S608 -- our own names
    return read_sums(sums)


def split_spending(question: Question, by: Dimension, *, limit: int = 20, after: Slice | None = None) -> list[Slice]:
    """The dearest values of a dimension first; those that follow `after`, the last one of the page before."""
    ladder, column = _ladder_of(question, by), by.column
    values: dict[str, Any] = {"limit": limit}
    beyond = ""
    if after is not None:
        values |= {"last_cost": after.sums.cost_usd, "last_value": "" if after.value is None else str(after.value)}
        beyond = f"HAVING sum(cost_usd) <= %(last_cost)s AND (sum(cost_usd) < %(last_cost)s OR {_text_of(by)} > %(last_value)s)"
    dearest = f"GROUP BY {column} {beyond} ORDER BY sum(cost_usd) DESC, {_order_of(by)} LIMIT %(limit)s"
    query = f"SELECT {column}, {_ALL} FROM ({{entries}}) AS entry {dearest}"  # noqa: S608 -- our own names
    if by is Dimension.END_USER and after is None:
        chosen, entries, bound = entries_of_dearest_users(question, ladder, _cut(question, ladder), limit=limit)
        return _slices(_run(f"WITH {chosen} {query.format(entries=entries)}", bound | values))
    if by in _MANY:
        # First by their costs alone: of a hundred thousand all other sums are made for those that are told.
        query = f"""
            {{dearest}} told AS (SELECT {column} FROM ({{entries}}) AS entry {dearest})
            SELECT {column}, {_ALL} FROM ({{entries}}) AS entry JOIN told USING ({column})
            GROUP BY {column} ORDER BY sum(cost_usd) DESC, {_order_of(by)}
        """  # noqa: S608 -- our own names
    if by is Dimension.JOB and Dimension.JOB not in question.filters:
        most = values.get("last_cost", ANY_COST)
        return _slices(_ask_jobs(query, question, [_span_of(question)], values | {"most": most}, amount="sum(cost_usd)", beyond=beyond))
    return _slices(_ask(query, question, ladder, (column,), values))


def read_course(question: Question, step: Step, *, zone: ZoneInfo) -> list[Point]:
    """Every hour or day of the question's time, also those without any spend. Days begin where the clocks of `zone` say so."""
    span = _span_of(question)
    spans = [span] if step is Step.HOUR else list(days_of(span, zone))
    ladder = _ladder_of(question)
    if ladder[-1].width is Width.DAY and (step is Step.HOUR or zone.key != "UTC"):
        raise QuestionError("step", "The course of an end user is kept by days, in UTC.")
    begins = [hour.since for hour in hours_of(span)] if step is Step.HOUR else [day_of(day.since, zone).since for day in spans]
    # By our own beginnings: where midnight comes twice, Postgres would let a day begin with the second one.
    query = f"SELECT width_bucket(created_at, %(begins)s::timestamptz[]), {_ALL} FROM ({{entries}}) AS entry GROUP BY 1"  # noqa: S608 -- our own names
    narrow = _no_wider(ladder, Width(step.value))
    found = {row[0]: read_sums(row[1:]) for row in _ask(query, question, narrow, (), {"begins": begins}, spans=spans)}
    return [Point(at, found.get(number, Sums())) for number, at in enumerate(begins, start=1)]


def find_movers(question: Question, by: Dimension, *, earlier: Span | None = None, limit: int = 10) -> list[Move]:
    """What changed most against an earlier stretch of time; when none is named, against as much time just before."""
    ladder, span = _ladder_of(question, by), _span_of(question)
    spans = [earlier or before(span), span]
    then, now = (f"coalesce(sum(cost_usd) FILTER (WHERE created_at {sign} %(since)s), 0)" for sign in ("<", ">="))
    query = f"""
        {{dearest}} moved AS (
            SELECT {by.column}, {then} AS then_, {now} AS now_ FROM ({{entries}}) AS entry GROUP BY {by.column}
        ) SELECT {by.column}, then_, now_ FROM moved WHERE then_ <> now_ ORDER BY abs(now_ - then_) DESC, {_order_of(by)} LIMIT %(limit)s
    """  # noqa: S608 -- our own names
    values = {"since": span.since, "limit": limit}
    if by is Dimension.JOB and Dimension.JOB not in question.filters:
        rows = _ask_jobs(
            query, question, spans, values | {"most": ANY_COST}, amount=f"abs({now} - {then})", beyond=f"HAVING {now} <> {then}"
        )
    elif by is Dimension.END_USER:
        chosen, entries, bound = entries_of_most_changed_users(question, ladder, _cut(question, ladder, spans), limit=limit)
        rows = _run(query.format(dearest=f"WITH {chosen},", entries=entries), bound | values)
    else:
        rows = _ask(query, question, ladder, (by.column,), values, spans=spans)
    return [Move(*row) for row in rows]


def list_hours(by: Dimension, *, since: datetime, until: datetime, workspace_ids: Sequence[UUID] | None = None) -> list[HourOfWork]:
    """What each feature, key or other dimension of few values did by the hour, in the order of time; hours without any are left out."""
    question = Question(since=since, until=until, workspace_ids=workspace_ids)
    query = f"""
        SELECT date_trunc('hour', created_at, 'UTC'), workspace_id, {by.column}, sum(calls)::int8,
               sum(input_tokens + output_tokens)::int8, sum(cost_usd)
        FROM ({{entries}}) AS entry GROUP BY 1, 2, 3 ORDER BY 1
    """  # noqa: S608 -- our own names
    columns = list(dict.fromkeys(("workspace_id", by.column)))
    return [HourOfWork(*row) for row in _ask(query, question, _no_wider(_ladder_of(question, by), Width.HOUR), columns)]


def read_forecast(
    workspace_ids: Sequence[UUID] | None, *, now: datetime, zone: ZoneInfo, filters: Mapping[Dimension, UUID | str | None] | None = None
) -> Forecast:
    """The month to date and what it will come to; today beside the same weekday of the week before."""
    month, today = month_of(now, zone), day_of(now, zone)
    week_ago = week_before(now, zone)
    its_day = day_of(week_ago, zone)
    since = min(month.since, day_of(now - timedelta(weeks=4), zone).since)
    question = Question(since=since, until=today.until, workspace_ids=workspace_ids, filters=filters or {})
    course = read_course(question, Step.DAY, zone=zone)
    by_day = {point.at: point.sums.cost_usd for point in course}
    until_then = sum_spending(replace(question, since=its_day.since, until=week_ago))
    month_usd = sum((cost for at, cost in by_day.items() if at >= month.since), Decimal(0))
    days = {at.astimezone(zone).date(): cost for at, cost in by_day.items() if cost}
    return Forecast(
        month_began_at=month.since,
        month_ends_at=month.until,
        month_usd=month_usd,
        forecast_usd=forecast_month(days=days, now=now, zone=zone, month_usd=month_usd),
        today_usd=by_day.get(today.since, Decimal(0)),
        last_week_until_now_usd=until_then.cost_usd,
        last_week_usd=by_day.get(its_day.since, Decimal(0)),
    )


def _text_of(by: Dimension) -> str:
    """The value as it is ordered by: none of it first."""
    return f"coalesce({by.column}::text, '') COLLATE \"C\""


def _order_of(by: Dimension) -> str:
    """The same order, without making a text of every id."""
    return f"{by.column} NULLS FIRST" if by.is_id else f'{by.column} COLLATE "C" NULLS FIRST'


def list_parts(question: Question, by: Dimension, *, at_once: int = 10_000) -> Iterator[Slice]:
    """All values of a dimension, in the order of their texts, so many at a time: none comes twice while more is charged."""
    ladder = _ladder_of(question, by)
    return _walk_parts(question, by, ladder, at_once)


def _walk_parts(question: Question, by: Dimension, ladder: Sequence[Table], at_once: int) -> Iterator[Slice]:
    value, beyond, last = _text_of(by), "", ""
    while True:
        query = f"""
            SELECT {by.column}, {_ALL} FROM ({{entries}}) AS entry {beyond} GROUP BY {by.column} ORDER BY {value} LIMIT %(limit)s
        """  # noqa: S608 -- our own names
        rows = _ask(query, question, ladder, (by.column,), {"limit": at_once} | ({"last": last} if beyond else {}))
        yield from _slices(rows)
        if len(rows) < at_once:
            return
        beyond, last = f"WHERE {value} > %(last)s", "" if rows[-1][0] is None else str(rows[-1][0])


def _slices(rows: Iterable[Sequence[Any]]) -> list[Slice]:
    return [Slice(row[0], read_sums(row[1:])) for row in rows]


def _span_of(question: Question) -> Span:
    return Span(question.since, question.until)


def _ladder_of(question: Question, by: Dimension | None = None) -> Sequence[Table]:
    """The one with the fewest rows that tells apart whatever the question does."""
    wanted = {part.column for part in (*question.filters, *([by] if by else []))}
    for ladder in LADDERS:
        if all(wanted <= set(table.dimensions) for table in ladder):
            return ladder
    raise QuestionError("end_user", "What one job cost by end users, or an end user by jobs, is not summed up. Ask for either.")


def _no_wider(ladder: Sequence[Table], width: Width) -> Sequence[Table]:
    """For a course: without the rows that last longer than its steps."""
    widths = list(Width)
    return [table for table in ladder if widths.index(table.width) >= widths.index(width)]


def _cut(question: Question, ladder: Sequence[Table], spans: Iterable[Span] = ()) -> Cut:
    """The question's time, or these stretches, on what the tables have from end to end."""
    return cut(spans or [_span_of(question)], [table.width for table in ladder])


def _ask(
    query: str,
    question: Question,
    ladder: Sequence[Table],
    columns: Sequence[str],
    values: dict[str, Any] | None = None,
    *,
    spans: Iterable[Span] = (),
) -> list[Any]:
    """`{entries}` in the query is what the question is about: these columns, all sums, and when. `spans`: in place of the question's."""
    entries, bound = entries_within(question, ladder, _cut(question, ladder, spans), columns)
    return _run(query.format(entries=entries, dearest="WITH"), bound | (values or {}))


def _ask_jobs(query: str, question: Question, spans: Sequence[Span], values: dict[str, Any], *, amount: str, beyond: str) -> list[Any]:
    """The same of jobs: the first ones by this amount."""
    dearest, entries, bound = entries_of_dearest_jobs(question, spans, amount=amount, beyond=beyond)
    return _run(query.format(entries=entries, dearest=f"WITH {dearest},"), bound | values)


def _run(query: str, values: dict[str, Any]) -> list[Any]:
    with transaction.atomic(), server_cursor() as cursor:
        cursor.execute(_PREPARE)
        cursor.execute(query, values)
        return cursor.fetchall()
