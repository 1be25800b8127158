"""Report, every minute, the money at a glance: for Flower's task list."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.db.models import Q, Sum

from apps.accounts.queries import workspace_names
from apps.spend.domain.budgets import ScopeKind
from apps.spend.domain.spending import Dimension, Question, day_of, month_of
from apps.spend.models import BudgetPeriod
from apps.spend.queries import list_half_used
from apps.spend.queries.spending import has_all_history, read_forecast, split_spending, sum_spending

_SHOWN = 5
_ZONE = ZoneInfo("UTC")


def report_spend(*, now: datetime) -> dict[str, Any]:
    """Amounts are texts of US dollars; days and months are UTC's.

    `reserved_usd` is what the widest budgets have set aside at this moment. `budgets` are those of which half or more is spent, the
    fullest first; those of single jobs are left out. `complete` is false while older charges are still being summed up, after an upgrade.
    """
    day, month = day_of(now, _ZONE), month_of(now, _ZONE)
    today = Question(since=day.since, until=day.until)
    sums, of_month = sum_spending(today), sum_spending(Question(since=month.since, until=month.until))
    forecast = read_forecast(None, now=now, zone=_ZONE)
    return {
        "today_usd": _dollars(sums.cost_usd),
        "today_calls": int(sums.calls),
        "today_tokens": int(sums.tokens),
        "today_retry_usd": _dollars(sums.retry_usd),
        "today_waste_usd": _dollars(sums.waste_usd),
        "today_saved_usd": _dollars(sums.saved_usd),
        "month_usd": _dollars(of_month.cost_usd),
        "month_waste_usd": _dollars(of_month.waste_usd),
        "month_forecast_usd": _dollars(forecast.forecast_usd),
        "reserved_usd": _dollars(_reserved(now)),
        "complete": has_all_history(),
        "workspaces": _workspaces(today),
        "budgets": _budgets(now),
    }


def _workspaces(today: Question) -> list[dict[str, Any]]:
    """Those that spent most today."""
    slices = split_spending(today, Dimension.WORKSPACE, limit=_SHOWN)
    names = workspace_names([one.value for one in slices if isinstance(one.value, UUID)])
    return [
        {"workspace": names.get(one.value, "") if isinstance(one.value, UUID) else "", "today_usd": _dollars(one.sums.cost_usd)}
        for one in slices
    ]


def _budgets(now: datetime) -> Sequence[dict[str, Any]]:
    shown = sorted(list_half_used(now=now), key=lambda one: one.spent_percent, reverse=True)[:_SHOWN]
    return [
        {
            "budget": f"{one.scope} {one.name}".strip(),
            "period": one.period,
            "spent_percent": round(one.spent_percent, 1),
            "room_usd": one.room_usd,
            "hard": one.hard,
        }
        for one in shown
    ]


def _reserved(now: datetime) -> Decimal:
    """A reservation stands in several budgets: those of the scope and period with the most have it all, where one bounds everything."""
    present = BudgetPeriod.objects.filter(Q(ends_at=None) | Q(ends_at__gt=now), reserved_usd__gt=0).exclude(budget__scope=ScopeKind.JOB)
    sums = present.values("budget__scope", "budget__period").annotate(total=Sum("reserved_usd")).values_list("total", flat=True)
    return max(sums, default=Decimal(0))


def _dollars(amount: Decimal) -> str:
    """To a millionth: people read it."""
    return f"{round(amount, 6).normalize():f}"
