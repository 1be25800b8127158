"""Which end users can be among the dearest, or the most changed: found by sums of floating point, which take half the time of exact ones.

Such a sum is off by less than a billionth of what is added up (a sum of n costs by n / 2^53 of it). Whoever is left out by more than that
comes after the last one of the exact answer, too; the others are summed up exactly, by the index of their names.

Where days are to be added up, or only a part of what users did, not all of them are looked at for that either. Within a part of some
months nobody spent, or changed by, more than they spent in all of these months. So those who spent much in all are summed up within
the part, and whoever spent less in all than the last of these within it can't come before them.

Where some days are asked about, and a part of one is cut out of the ledgers, whole days tell between what bounds everybody lies: of the
ledgers' rows only those are added up whose users can be among the first by these.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from apps.spend.domain.spending import SUMS, Cut, Question, Span, Width
from apps.spend.queries.asked import ends_within, entries_within, only_of_workspaces, rows_of_users, users_within
from apps.spend.queries.entries import USER_MONTHS, Table

_COLUMNS = ("end_user",)
_ARE_FEW = "(SELECT are_few FROM look)"
_REST_OR_ALL = f"NOT {_ARE_FEW} OR end_user IN (SELECT end_user FROM rest)"  # noqa: S608 -- our own names
_TRIED = f"UNION ALL SELECT * FROM tried WHERE {_ARE_FEW}"  # noqa: S608 -- our own names
_COSTS = ("cost_usd",)
# What is cut out of days is read once, by an index alone where nothing narrows it, and of those who are chosen once more.
_ENDS = "SELECT created_at, end_user, cost_usd FROM ends"
_CHOSEN = "SELECT end_user FROM chosen"
_CHOSEN_ENDS = "SELECT ends.created_at FROM ends JOIN chosen USING (end_user)"
# Beyond a billionth on either side.
_SLACK = "3e-9::float8"
_ADDED = "min(created_at) AS created_at, end_user, sum(cost_usd) AS cost_usd"
_ARE_NEAR = "end_user IN (SELECT end_user FROM near)"
# So many of the dearest in all are looked at besides, for those that meet the question's filters.
_BESIDES = 450
# By the name a user's rows take so many times as long to read as in a row with all others'; and the rows of a part of what users did take
# so many times as long by an index of that part as by the names, which the index alone answers.
_TIMES = 10
# So many users are read by the names whatever all are, unless the part is smaller than this.
_ANYHOW, _LEAST = 10_000, 0.02
# More are not told apart by their sums of months: among ten thousand nearly everybody can be.
_MOST = 1000
_FEW_DAYS = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class _Amount:
    """What users are put in order by: `most`, about how much that is, and `off`, of what it may be off by a billionth besides itself.

    `leave`: which of them count at all; `told`: which sums are wanted. It is how far what a row says of `now` lies from what it says of
    `then`; a row that begins before `now` may hold some of it.
    """

    sums: str
    leave: str = "true"
    told: Sequence[str] = SUMS
    then: str = "false"
    now: str = "true"
    perhaps_now: str = "true"


def entries_of_dearest_users(question: Question, ladder: Sequence[Table], parts: Cut, *, limit: int) -> tuple[str, str, dict[str, Any]]:
    """A WITH, and the rows of those that can be among the first `%(limit)s` by their costs, as `entries_within`; with their values."""
    return _chosen(question, ladder, parts, limit=limit, by=_Amount("sum(cost_usd::float8) AS most, 0::float8 AS off"))


def entries_of_most_changed_users(
    question: Question, ladder: Sequence[Table], parts: Cut, *, limit: int
) -> tuple[str, str, dict[str, Any]]:
    """The same, of the sums the costs alone, by how far what was spent from `%(since)s` on lies from what was spent before.

    Who spent nothing at all has not changed.
    """
    change = "abs(sum(CASE WHEN created_at < %(since)s THEN -cost_usd::float8 ELSE cost_usd::float8 END))"
    by = _Amount(
        f"{change} AS most, sum(cost_usd::float8) AS off", leave="off > 0", told=_COSTS,
        then="created_at < %(since)s", now="created_at >= %(since)s", perhaps_now="created_at + interval '1 day' > %(since)s",
    )  # fmt: skip
    return _chosen(question, ladder, parts, limit=limit, by=by)


def _chosen(question: Question, ladder: Sequence[Table], parts: Cut, *, limit: int, by: _Amount) -> tuple[str, str, dict[str, Any]]:
    read, values = ends_within(question, parts)
    before, narrowed, ends = ([f"ends AS MATERIALIZED ({read})"], ["true"], _ENDS) if read else ([], ["true"], "")
    whose, tried, is_long = "true", "", _is_long(ladder, parts)
    if read and limit <= _MOST and not is_long:
        near, more = _near(question, ladder, parts, by)
        # Where costs alone are told, a user's rows on each side of `%(since)s` are added up at once.
        rows, added = ("*", "") if by.told != _COSTS else (_ADDED, f"GROUP BY end_user, {by.then}")
        narrow = f"ends AS MATERIALIZED (SELECT {rows} FROM ({read}) AS cut WHERE {_ARE_NEAR} {added})"  # noqa: S608 -- our own names
        before, values, whose = [near, narrow], values | more, _ARE_NEAR
    elif limit <= _MOST and is_long:
        few, more = _few(question, ladder, parts, ends=ends, by=by)
        before, values, narrowed = [*before, few], values | more, [f"{_ARE_FEW} AND {_among('rest')}", f"NOT {_ARE_FEW}"]
        whose, tried = _REST_OR_ALL, _TRIED
    found, bound = entries_within(question, ladder, parts, _COLUMNS, sums=_COSTS, narrowed=narrowed, ends=ends)
    if ends and by.told != _COSTS:
        ends = rows_of_users(question, _CHOSEN, _CHOSEN_ENDS, _COLUMNS, by.told)
    exact, _ = entries_within(question, ladder, parts, _COLUMNS, sums=by.told, narrowed=[_among("chosen")], ends=ends)
    query = f"""
        about AS MATERIALIZED (
            SELECT * FROM (SELECT end_user, {by.sums} FROM ({found}) AS entry WHERE {whose} GROUP BY end_user) AS summed WHERE {by.leave}
            {tried}
        ), chosen AS MATERIALIZED (
            SELECT end_user FROM about WHERE most + {_SLACK} * (most + off) >= coalesce(
                (SELECT most - {_SLACK} * (most + off) AS least FROM about ORDER BY least DESC OFFSET %(limit)s - 1 LIMIT 1), 0
            )
        )
    """  # noqa: S608 -- our own names
    # What isn't summed up yet is not narrowed by its condition.
    return (
        ", ".join([*before, query]),
        f"SELECT entry.* FROM ({exact}) AS entry JOIN chosen USING (end_user)",  # noqa: S608 -- our own names
        values | bound,
    )


def _near(question: Question, ladder: Sequence[Table], parts: Cut, by: _Amount) -> tuple[str, dict[str, Any]]:
    """Those who can be among the first by what whole days say: nobody's part of a day is more than the whole of it, or below nothing."""
    width = ladder[-1].width
    edges = tuple(Span(width.floor(end.since), width.ceiling(end.until)) for end in parts.ends)
    whole, values = entries_within(question, ladder, Cut(parts.wholes, ()), _COLUMNS, sums=_COSTS)
    cut_up, more = entries_within(question, ladder[-1:], Cut((edges,), ()), _COLUMNS, sums=_COSTS, prefix="edge_")
    kinds = {"then_": f"is_whole AND {by.then}", "then_cut": f"NOT is_whole AND {by.then}"}
    kinds |= {"now_": f"is_whole AND {by.now}", "now_cut": f"NOT is_whole AND {by.perhaps_now}"}
    sums = ", ".join(f"coalesce(sum(cost_usd::float8) FILTER (WHERE {rows}), 0) AS {name}" for name, rows in kinds.items())
    query = f"""
        bounds AS MATERIALIZED (
            SELECT end_user, then_ + then_cut + now_ + now_cut AS off, greatest(now_ + now_cut - then_, then_ + then_cut - now_) AS most,
                greatest(now_ - then_ - then_cut, then_ - now_ - now_cut, 0) AS least
            FROM (SELECT end_user, {sums} FROM (
                SELECT *, true AS is_whole FROM ({whole}) AS whole UNION ALL SELECT *, false FROM ({cut_up}) AS cut_up
            ) AS entry GROUP BY end_user) AS bound
        ), near AS MATERIALIZED (
            SELECT end_user FROM bounds WHERE most + {_SLACK} * (most + off) >= coalesce(
                (SELECT least - {_SLACK} * (least + off) AS at_least FROM bounds ORDER BY at_least DESC OFFSET %(limit)s - 1 LIMIT 1), 0
            )
        )
    """  # noqa: S608 -- our own names
    return query, values | more


def _few(question: Question, ladder: Sequence[Table], parts: Cut, *, ends: str, by: _Amount) -> tuple[str, dict[str, Any]]:
    """Those who spent enough in all, and those of whom something isn't summed up yet: `tried` are summed up, `rest` still to be.

    `look`: whether these are few.
    """
    first, values = entries_within(question, ladder, parts, _COLUMNS, sums=_COSTS, narrowed=[_among("first")], ends=ends)
    spans = [span for found in (*parts.wholes, parts.ends) for span in found]
    hull = Span(min(span.since for span in spans), max(span.until for span in spans))
    new, more = users_within(question, hull)
    months = Span(Width.MONTH.floor(hull.since), hull.until)
    in_all = " AND ".join(["begins_at >= %(months_since)s AND begins_at < %(months_until)s", *only_of_workspaces(question)])
    query = f"""
        in_all AS MATERIALIZED (
            SELECT end_user, sum(cost_usd::float8) AS most FROM {USER_MONTHS.name} WHERE {in_all} GROUP BY end_user
        ), first AS MATERIALIZED (
            SELECT end_user, most FROM in_all ORDER BY most DESC LIMIT 2 * %(limit)s + {_BESIDES}
        ), tried AS MATERIALIZED (
            SELECT * FROM (SELECT end_user, {by.sums} FROM ({first}) AS entry JOIN first USING (end_user) GROUP BY end_user) AS summed
            WHERE {by.leave}
        ), bound AS MATERIALIZED (
            SELECT most - {_SLACK} * (most + off) AS least FROM tried ORDER BY least DESC OFFSET %(limit)s - 1 LIMIT 1
        ), few AS MATERIALIZED (
            SELECT end_user FROM in_all WHERE most + {_SLACK} * most >= coalesce((SELECT least FROM bound), 0) UNION {new}
        ), rest AS MATERIALIZED (
            SELECT end_user FROM few EXCEPT SELECT end_user FROM first
        ), look AS MATERIALIZED (
            SELECT coalesce({_are_few(ladder)}, false) AS are_few
            FROM (SELECT count(*) AS number FROM rest) AS counted
        )
    """  # noqa: S608 -- our own names
    time = sum((span.until - span.since for span in spans), timedelta()) / (months.until - months.since)
    return query, values | more | {"months_since": months.since, "months_until": months.until, "time": time}


def _are_few(ladder: Sequence[Table]) -> str:
    """Whether their rows are better read by the names. What part of what users did is asked about, the dearest tell."""
    every = "(SELECT count(*) FROM in_all)"
    if ladder[0].width is Width.MONTH:
        return f"number * {_TIMES} <= {every}"
    part = "SELECT sum(greatest(tried.most, off)) / nullif(sum(first.most) * %(time)s, 0) AS part"
    rule = f"CASE WHEN number <= {_ANYHOW} AND part > {_LEAST} THEN true ELSE number <= {every} * {_TIMES} * part END"
    return f"(SELECT {rule} FROM ({part} FROM first LEFT JOIN tried USING (end_user)) AS asked)"  # noqa: S608 -- our own names


def _is_long(ladder: Sequence[Table], parts: Cut) -> bool:
    """Whether more is read than whole months, or some days, of all users."""
    if ladder[0].width is not Width.MONTH:
        return True
    days = (span.until - span.since for found in parts.wholes[1:] for span in found)
    return sum(days, timedelta()) > _FEW_DAYS


def _among(name: str) -> str:
    """For the planner, an array is short: it goes by the index of names."""
    return f"end_user = ANY(ARRAY(SELECT end_user FROM {name}))"  # noqa: S608 -- our own names
