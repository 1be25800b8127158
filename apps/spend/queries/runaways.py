"""Find what has run away: the last minutes from the charges, by the index on their time; what is usual from the hourly paces."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from apps.lib.sql import server_cursor
from apps.spend.domain.runaway import (
    STILL,
    WEEKS,
    WINDOWS,
    Excess,
    Measure,
    Pace,
    Sensitivity,
    Watched,
    busier,
    find_beginning,
    find_bounds,
    find_excess,
    hours_alike,
    summed,
    watched_of,
)
from apps.spend.models import PacedHour

_TOKENS = "input_tokens + cached_input_tokens + cache_write_tokens + output_tokens + reasoning_tokens"
_SUMS = {Measure.CALLS: "count(*)", Measure.TOKENS: f"sum({_TOKENS})", Measure.USD: "sum(cost_usd)"}


def _sum_of_window(measure: Measure, minutes: int) -> str:
    """The longest is what was read."""
    newer = "" if minutes == WINDOWS[-1] else f" FILTER (WHERE created_at > %(now)s - interval '{minutes} minutes')"
    return f"coalesce({_SUMS[measure]}{newer}, 0)::float8"


_RECENT = f"""
SELECT workspace_id, api_key_id, feature, {", ".join(_sum_of_window(measure, minutes) for measure in Measure for minutes in WINDOWS)}
FROM spend_charge WHERE created_at > %(now)s - interval '{WINDOWS[-1]} minutes' AND created_at <= %(now)s GROUP BY 1, 2, 3
"""  # noqa: S608 -- constants of this module
_WANTED = "unnest(%(workspaces)s::uuid[], %(scopes)s::text[], %(names)s::text[]) AS wanted (workspace_id, scope, name)"
_SAME = "pace.workspace_id = wanted.workspace_id AND pace.scope = wanted.scope AND pace.name = wanted.name"
_KNOWN_SINCE = f"""
SELECT wanted.*, first.hour, coalesce(workspace.time_zone, 'UTC') FROM {_WANTED}
CROSS JOIN LATERAL (SELECT pace.hour FROM spend_hourlypace AS pace WHERE {_SAME} ORDER BY pace.hour LIMIT 1) AS first
LEFT JOIN accounts_workspace AS workspace ON workspace.id = wanted.workspace_id
"""  # noqa: S608 -- constants of this module
_HOURS = f"""
SELECT wanted.*, pace.hour, pace.calls, pace.tokens, pace.usd FROM {_WANTED}
JOIN spend_hourlypace AS pace ON {_SAME} AND pace.hour = ANY(%(hours)s)
"""  # noqa: S608 -- constants of this module
_MIDDLES = ", ".join(f"percentile_cont(0.5) WITHIN GROUP (ORDER BY pace.{measure}[{at + 1}])" for measure in Measure for at in range(3))
_TYPICAL = f"""
SELECT wanted.*, {_MIDDLES} FROM {_WANTED} JOIN spend_hourlypace AS pace ON {_SAME} AND pace.hour > %(since)s GROUP BY 1, 2, 3
"""  # noqa: S608 -- constants of this module
_MINUTES = f"""
SELECT floor(extract(epoch FROM %(now)s - created_at) / 60)::int4, count(*), sum({_TOKENS})::float8, sum(cost_usd)::float8
FROM spend_charge WHERE created_at > %(now)s - interval '1 hour' AND created_at <= %(now)s AND workspace_id = %(workspace)s
  AND CASE %(scope)s WHEN 'feature' THEN feature = %(name)s WHEN 'api_key' THEN api_key_id::text = %(name)s ELSE true END
GROUP BY 1
"""  # noqa: S608 -- constants of this module


@dataclass(frozen=True, slots=True)
class Runaway:
    """What has run away, by how much, and since when."""

    watched: Watched
    excesses: Sequence[Excess]
    since: datetime


@dataclass(frozen=True, slots=True)
class _Recent:
    workspace_id: UUID
    api_key_id: UUID | None
    feature: str
    pace: Pace

    @property
    def watched(self) -> list[Watched]:
        return watched_of(self.workspace_id, self.api_key_id, self.feature)


def find_runaways(*, now: datetime, sensitivity: Sensitivity) -> list[Runaway]:
    """The narrowest first; a wider thing is told only when it has run away without what is told already."""
    recent = _read_recent(now)
    calls_of: dict[Watched, list[_Recent]] = defaultdict(list)
    for one in recent:
        for watched in one.watched:
            calls_of[watched].append(one)
    paces = {watched: summed(one.pace for one in parts) for watched, parts in calls_of.items()}
    candidates = [watched for watched, pace in paces.items() if not sensitivity.is_little(pace)]
    usual = _read_usual(candidates, now, sensitivity)
    bounds = {watched: find_bounds(weeks, STILL, sensitivity) for watched, weeks in usual.items()}
    suspects = [watched for watched in bounds if find_excess(paces[watched], bounds[watched])]
    typical = _read_typical(suspects, now)
    found: dict[Watched, list[Excess]] = {}
    for watched in sorted(suspects, key=lambda one: _ORDER.index(one.scope)):
        limits = find_bounds(usual[watched], typical[watched], sensitivity)
        rest = summed(one.pace for one in calls_of[watched] if found.keys().isdisjoint(one.watched))
        if find_excess(rest, limits):
            found[watched] = find_excess(paces[watched], limits)
    return [Runaway(watched, excesses, _read_beginning(watched, excesses[0], now)) for watched, excesses in found.items()]


_ORDER = ("feature", "api_key", "workspace")


def _read_recent(now: datetime) -> list[_Recent]:
    with transaction.atomic(), server_cursor() as cursor:
        # The planner takes names for rarer than they are, and would sort a busy hour on the disk.
        cursor.execute("SELECT set_config('enable_sort', 'off', true)")
        cursor.execute(_RECENT, {"now": now})
        return [_Recent(row[0], row[1], row[2], _pace(row[3:])) for row in cursor]


def _pace(numbers: Sequence[float]) -> Pace:
    """One row's numbers: of each measure, of each window."""
    size = len(WINDOWS)
    return {measure: tuple(numbers[at * size : (at + 1) * size]) for at, measure in enumerate(Measure)}


def _ask(query: str, watched: Iterable[Watched], **values: Any) -> list[tuple[Any, ...]]:
    wanted = list(watched)
    if not wanted:
        return []
    values |= {"workspaces": [one.workspace_id for one in wanted], "scopes": [one.scope for one in wanted]}
    with server_cursor() as cursor:
        cursor.execute(query, values | {"names": [one.name for one in wanted]})
        return cursor.fetchall()


def _read_usual(watched: Sequence[Watched], now: datetime, sensitivity: Sensitivity) -> dict[Watched, list[Pace]]:
    """The hours alike of the last weeks, of those that have been known for long enough; an hour without a row of theirs was still."""
    rows = _ask(_KNOWN_SINCE, watched)
    known = {_watched(row): (row[3], row[4]) for row in rows if now - row[3] >= timedelta(days=sensitivity.least_days)}
    alike = {zone: hours_alike(now, zone) for zone in {zone for _, zone in known.values()}}
    hours = sorted({hour for weeks in alike.values() for week in weeks for hour in week})
    complete = set(PacedHour.objects.filter(hour__in=hours).values_list("hour", flat=True))
    paces = {(_watched(row), row[3]): dict(zip(Measure, row[4:], strict=True)) for row in _ask(_HOURS, known, hours=hours)}
    usual = {}
    for one, (since, zone) in known.items():
        weeks = [[paces.get((one, hour), STILL) for hour in week if hour >= since and hour in complete] for week in alike[zone]]
        if len(told := [busier(week) for week in weeks if week]) >= _LEAST_WEEKS:
            usual[one] = told
    return usual


# Fewer say nothing.
_LEAST_WEEKS = 2


def _read_typical(watched: Sequence[Watched], now: datetime) -> Mapping[Watched, Pace]:
    rows = _ask(_TYPICAL, watched, since=now - timedelta(weeks=WEEKS))
    return defaultdict(lambda: STILL, {_watched(row): _pace(row[3:]) for row in rows})


def _watched(row: Sequence[Any]) -> Watched:
    return Watched(row[1], row[0], row[2])


def _read_beginning(watched: Watched, excess: Excess, now: datetime) -> datetime:
    """To the minute, within the last hour."""
    values = {"now": now, "workspace": watched.workspace_id, "scope": watched.scope, "name": watched.name}
    minutes = [0.0] * 61
    with server_cursor() as cursor:
        cursor.execute(_MINUTES, values)
        for ago, *amounts in cursor:
            minutes[60 - ago] = dict(zip(Measure, amounts, strict=True))[excess.measure]
    return now - timedelta(minutes=find_beginning(minutes, excess.usual, excess.minutes))
