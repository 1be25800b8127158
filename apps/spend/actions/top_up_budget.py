"""Top up a budget: more for its present period alone; the next one has its cap again."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db import transaction

from apps.lib.http_errors import ApiError
from apps.spend.actions.change_budget import lock_budget, refused_of_pause, require_amount
from apps.spend.actions.tell_budget import tell_changed
from apps.spend.domain.budgets import RANKS, ScopeKind, period_bounds
from apps.spend.models import Budget, BudgetPeriod


def top_up_budget(*, budget_id: UUID, amount_usd: Decimal, now: datetime, reason: str = "") -> Budget:
    """ApiError 404 for an unknown budget, 400 for an amount that is none."""
    require_amount(amount_usd, "amount_usd")
    if not amount_usd:
        raise ApiError(400, "invalid_value", "amount_usd must be above 0; to take money away, lower the cap.", param="amount_usd")
    with transaction.atomic():
        budget = lock_budget(budget_id)
        if budget.is_pause:
            raise refused_of_pause()
        begin, end = period_bounds(budget.period, time_zone=budget.time_zone, at=now)
        BudgetPeriod.objects.bulk_create(
            [BudgetPeriod(budget=budget, rank=RANKS[ScopeKind(budget.scope)], starts_at=begin, ends_at=end)], ignore_conflicts=True
        )
        period = BudgetPeriod.objects.select_for_update(no_key=True).get(budget=budget, starts_at=begin)
        before = period.extra_usd
        period.extra_usd = before + amount_usd
        require_amount(period.extra_usd, "amount_usd")
        period.save(update_fields=["extra_usd"])
        after = {"topped_up_by_usd": f"{period.extra_usd.normalize():f}"}
        tell_changed(budget, "topped up", before={"topped_up_by_usd": f"{before.normalize():f}"}, after=after, reason=reason)
    return budget
