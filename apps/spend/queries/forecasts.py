"""Budgets that will be used up before their period ends, if it goes on as it does."""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db.models import Q

from apps.spend.domain.budgets import PeriodKind, ScopeKind
from apps.spend.domain.forecasts import forecast_by_days, forecast_by_week, forecast_evenly, is_early, is_slow
from apps.spend.domain.runaway import WEEKS
from apps.spend.domain.spending import Dimension, Question
from apps.spend.models import Budget, BudgetPeriod
from apps.spend.queries import ShownBudget, show_budget
from apps.spend.queries.spending import sum_spending

_WEEK = timedelta(days=7)


def list_forecasts(*, now: datetime, told: Collection[UUID]) -> Iterator[tuple[ShownBudget, Decimal]]:
    """The active budgets whose course may matter, with what their present period will come to; those that were told of in any case."""
    present = BudgetPeriod.objects.filter(ends_at__gt=now, starts_at__lte=now, budget__is_active=True).exclude(budget__scope=ScopeKind.JOB)
    rows = present.filter(Q(spent_usd__gt=0)).select_related("budget__workspace", "budget__api_key").order_by("id")
    for row in rows.iterator(chunk_size=500):
        one = show_budget(row.budget, row, now=now)
        elapsed, whole = now - row.starts_at, _end(row) - row.starts_at
        if row.budget_id not in told and (is_early(one.period, elapsed) or is_slow(one.spent, one.cap, elapsed=elapsed, whole=whole)):
            continue
        if (forecast := _forecast(one, row, now)) is not None:
            yield one, forecast


def _end(row: BudgetPeriod) -> datetime:
    return row.ends_at or row.starts_at


def _forecast(one: ShownBudget, row: BudgetPeriod, now: datetime) -> Decimal | None:
    ask = _question_of(one.row)
    if ask is not None and one.period == PeriodKind.MONTH:
        week = _cost(ask, now - _WEEK, now)
        return forecast_by_week(one.spent, week_usd=week, rest=_end(row) - now)
    if ask is not None and one.period == PeriodKind.DAY:
        weeks = [week * _WEEK for week in range(1, WEEKS + 1)]
        before = sum((_cost(ask, row.starts_at - week, now - week) for week in weeks), Decimal(0))
        if before:
            after = sum((_cost(ask, now - week, _end(row) - week) for week in weeks), Decimal(0))
            return forecast_by_days(one.spent, before_usd=before, after_usd=after)
    return forecast_evenly(one.spent, one.period, elapsed=now - row.starts_at, whole=_end(row) - row.starts_at)


def _question_of(budget: Budget) -> tuple[list[UUID] | None, dict[Dimension, UUID | str | None]] | None:
    """Whose spend it counts; None for an end user's, whose sums are by whole days."""
    workspaces = [budget.workspace_id] if budget.workspace_id else None
    if budget.scope == ScopeKind.USER:
        return None
    if budget.scope == ScopeKind.API_KEY:
        return workspaces, {Dimension.API_KEY: budget.api_key_id}
    if budget.scope == ScopeKind.FEATURE:
        return workspaces, {Dimension.FEATURE: budget.subject}
    return workspaces, {}


def _cost(ask: tuple[list[UUID] | None, dict[Dimension, UUID | str | None]], since: datetime, until: datetime) -> Decimal:
    workspace_ids, filters = ask
    return sum_spending(Question(since=since, until=until, workspace_ids=workspace_ids, filters=filters)).cost_usd
