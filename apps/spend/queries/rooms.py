"""Which budgets have room again: for what has waited for them."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from apps.lib.clock import current_time
from apps.spend.domain.budgets import period_bounds
from apps.spend.models import Budget, BudgetPeriod

_NOTHING = Decimal(0)


def list_with_room(needs: Mapping[UUID, Decimal]) -> list[UUID]:
    """Those where what is spent leaves room for that much more within the present period, or that bound nothing any more; two queries."""
    if not needs:
        return []
    budgets = Budget.objects.select_related("workspace").in_bulk(list(needs))
    now = current_time()
    begins = {budget.id: period_bounds(budget.period, time_zone=budget.time_zone, at=now)[0] for budget in budgets.values()}
    periods = _present_periods(begins)
    return [key for key, amount in needs.items() if key not in budgets or _has_room(budgets[key], periods.get(key), amount)]


def _present_periods(begins: Mapping[UUID, datetime]) -> dict[UUID, BudgetPeriod]:
    rows = BudgetPeriod.objects.filter(budget_id__in=list(begins), starts_at__in=set(begins.values()))
    return {row.budget_id: row for row in rows if row.starts_at == begins[row.budget_id]}


def _has_room(budget: Budget, period: BudgetPeriod | None, amount_usd: Decimal) -> bool:
    if not budget.is_active or not budget.is_hard:
        return True
    if budget.is_pause:
        return False
    spent_usd, extra_usd = (period.spent_usd, period.extra_usd) if period else (_NOTHING, _NOTHING)
    return spent_usd + amount_usd <= budget.cap_usd + extra_usd
