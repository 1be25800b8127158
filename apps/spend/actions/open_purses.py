"""Open purses: find the budgets that bound a group of work, and the counters of their present periods."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from apps.lib.ids import uuid7
from apps.lib.sql import server_cursor
from apps.spend.domain.budgets import OF_JOBS, RANKS, Key, PeriodKind, Purse, Purses, ScopeKind, Subject, period_bounds

_NOTHING = Decimal(0)
# With its newest counter that has begun, which is nearly always that of the present period: one look in place of two.
_WITH_COUNTERS = """
SELECT budget.id, budget.scope, budget.workspace_id, budget.api_key_id, budget.job_id, budget.subject, budget.period, budget.cap_usd,
    budget.is_hard, coalesce((SELECT time_zone FROM accounts_workspace WHERE id = budget.workspace_id), 'UTC'), statement_timestamp(),
    newest.starts_at, newest.id, newest.reserved_usd, newest.spent_usd, newest.extra_usd
FROM ({budgets}) AS budget LEFT JOIN LATERAL (
    SELECT period.* FROM spend_budgetperiod AS period WHERE period.budget_id = budget.id AND period.starts_at <= statement_timestamp()
    ORDER BY period.starts_at DESC LIMIT 1
) AS newest ON true
"""
# One look where there is no budget at all: five probes of an empty index. Of the budgets of users and features a few are read along.
_FEW = 8
_OF_JOBS = _WITH_COUNTERS.format(
    budgets=f"""
    SELECT * FROM spend_budget WHERE scope = 'platform' AND is_active
    UNION ALL SELECT budget.* FROM unnest(%(workspaces)s::uuid[]) AS wanted (id)
        JOIN spend_budget AS budget ON scope = 'workspace' AND workspace_id = wanted.id AND is_active
    UNION ALL SELECT budget.* FROM unnest(%(keys)s::uuid[]) AS wanted (id)
        JOIN spend_budget AS budget ON scope = 'api_key' AND api_key_id = wanted.id AND is_active
    UNION ALL SELECT budget.* FROM unnest(%(jobs)s::uuid[]) AS wanted (id)
        JOIN spend_budget AS budget ON scope = 'job' AND job_id = wanted.id AND is_active
    UNION ALL (SELECT * FROM spend_budget WHERE scope IN ('user', 'feature') AND is_active LIMIT {_FEW} + 1)
"""  # noqa: S608 -- a constant
)
# All columns of the index are named, so that a workspace with a thousand of them has one entry read for each that is wanted.
_FOUND = "budget.scope = wanted.scope AND api_key_id IS NULL AND job_id IS NULL AND budget.subject = wanted.subject AND is_active"
_WANTED = "unnest(%(scopes)s::text[], %(workspaces)s::uuid[], %(subjects)s::text[]) AS wanted (scope, workspace_id, subject)"
_OF_ITEMS = _WITH_COUNTERS.format(
    budgets=f"""
    SELECT budget.* FROM {_WANTED} JOIN spend_budget AS budget ON budget.workspace_id = wanted.workspace_id AND {_FOUND}
    UNION ALL SELECT budget.* FROM {_WANTED} JOIN spend_budget AS budget ON budget.workspace_id IS NULL AND {_FOUND}
"""  # noqa: S608 -- constants of this module
)
_COUNTERS = """
SELECT period.budget_id, period.id, period.reserved_usd, period.spent_usd, period.extra_usd
FROM unnest(%b::uuid[], %b::timestamptz[]) AS wanted (budget_id, starts_at)
JOIN spend_budgetperiod AS period ON period.budget_id = wanted.budget_id AND period.starts_at = wanted.starts_at
"""
# In the order of locks: two that begin the same periods at once wait for each other, never in a circle.
_BEGIN = """
INSERT INTO spend_budgetperiod (id, budget_id, rank, starts_at, ends_at)
SELECT id, budget_id, rank, starts_at, ends_at
FROM unnest(%b::uuid[], %b::uuid[], %b::int2[], %b::timestamptz[], %b::timestamptz[]) AS fresh (id, budget_id, rank, starts_at, ends_at)
ORDER BY rank, budget_id
ON CONFLICT (budget_id, starts_at) DO NOTHING
"""


def open_purses_of_jobs(subjects: Iterable[Subject]) -> Purses:
    """Those that bound whole jobs, and whether budgets of end users or features are to be looked up. Empty where there is no budget."""
    known = set(subjects)
    rows = _find(_OF_JOBS, _of_jobs(known))
    of_jobs, finer = [row for row in rows if row[1] in OF_JOBS], [row for row in rows if row[1] not in OF_JOBS]
    if len(finer) <= _FEW and all(map(_is_present, finer)):
        # All that there are: whichever bounds an item is among them.
        return Purses(_with_counters(rows))
    return Purses(_with_counters(of_jobs), has_finer=True)


def look_at_purses(subjects: Iterable[Subject]) -> Purses:
    """All that would bound these, as they stand: no period is begun."""
    known = set(subjects)
    rows = _find(_OF_JOBS, _of_jobs(known))
    of_jobs = [row for row in rows if row[1] in OF_JOBS]
    finer = _find_finer(known) if len(of_jobs) < len(rows) else []
    return Purses(_with_counters([*of_jobs, *finer], is_look=True))


def with_finer_purses(purses: Purses, subjects: Iterable[Subject]) -> Purses:
    """With those of these end users and features, where there are such budgets."""
    if not purses.has_finer:
        return purses
    return Purses([*purses.purses, *_with_counters(_find_finer(subjects))])


def _find(query: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    with server_cursor() as cursor:
        cursor.execute(query.encode(), values)
        return cursor.fetchall()


def _of_jobs(subjects: set[Subject]) -> dict[str, Any]:
    return {
        "workspaces": list({subject.workspace_id for subject in subjects}),
        "keys": list({subject.api_key_id for subject in subjects if subject.api_key_id}),
        "jobs": list({subject.job_id for subject in subjects}),
    }


def _find_finer(subjects: Iterable[Subject]) -> list[tuple[Any, ...]]:
    wanted = {(scope, workspace_id or subject.workspace_id, name) for subject in subjects for scope, workspace_id, name in _finer(subject)}
    columns = list(zip(*sorted(wanted, key=str), strict=True)) or [(), (), ()]
    rows = _find(_OF_ITEMS, dict(zip(("scopes", "workspaces", "subjects"), map(list, columns), strict=True)))
    # A budget of all workspaces is found by each of them.
    return list({row[0]: row for row in rows}.values())


def _finer(subject: Subject) -> list[Key]:
    return [key for key in subject.names() if key[0] not in OF_JOBS]


def _is_present(row: tuple[Any, ...]) -> bool:
    """Whether its present period has begun; only what bounds an item begins one."""
    return bool(row[11] == period_bounds(row[6], time_zone=row[9], at=row[10])[0])


def _with_counters(rows: list[tuple[Any, ...]], *, is_look: bool = False) -> list[Purse]:
    bounds = {row[0]: period_bounds(row[6], time_zone=row[9], at=row[10]) for row in rows}
    counters = {row[0]: row[12:16] for row in rows if row[11] == bounds[row[0]][0]}
    if missing := [row for row in rows if row[0] not in counters]:
        begun = {row[0]: bounds[row[0]] for row in missing}
        if not is_look:
            _begin_periods(missing, begun)
        counters |= _read_counters(begun)
    if is_look:
        counters |= {row[0]: (uuid7(), _NOTHING, _NOTHING, _NOTHING) for row in missing if row[0] not in counters}
    # A budget that was deleted at this moment has no counter.
    return [_purse(row, counters[row[0]], bounds[row[0]][1]) for row in rows if row[0] in counters]


def _read_counters(bounds: dict[Any, tuple[datetime, datetime | None]]) -> dict[Any, tuple[Any, ...]]:
    with server_cursor() as cursor:
        cursor.execute(_COUNTERS, (list(bounds), [begin for begin, _ in bounds.values()]))
        return {row[0]: row[1:] for row in cursor}


def _begin_periods(rows: list[tuple[Any, ...]], bounds: dict[Any, tuple[datetime, datetime | None]]) -> None:
    ids = [row[0] for row in rows]
    ranks = [RANKS[ScopeKind(row[1])] for row in rows]
    values = ([uuid7() for _ in ids], ids, ranks, [bounds[key][0] for key in ids], [bounds[key][1] for key in ids])
    with server_cursor() as cursor:
        cursor.execute(_BEGIN, values)


def _purse(row: tuple[Any, ...], counter: tuple[Any, ...], ends_at: datetime | None) -> Purse:
    budget_id, scope, workspace_id, api_key_id, job_id, subject, kind, cap_usd, is_hard = row[:9]
    period_id, reserved_usd, spent_usd, extra_usd = counter
    owners: dict[str, Key] = {
        ScopeKind.PLATFORM: (scope, None, ""),
        ScopeKind.WORKSPACE: (scope, workspace_id, ""),
        ScopeKind.API_KEY: (scope, None, api_key_id),
        # Of its own workspace: another's can't bound it by knowing its id.
        ScopeKind.JOB: (scope, workspace_id, job_id),
    }
    return Purse(
        period_id=period_id,
        budget_id=budget_id,
        scope=scope,
        key=owners.get(scope, (scope, workspace_id, subject)),
        cap_usd=cap_usd + extra_usd,
        is_hard=is_hard,
        reserved_usd=reserved_usd,
        spent_usd=spent_usd,
        ends_at=ends_at,
        is_pause=kind == PeriodKind.PAUSE,
    )
