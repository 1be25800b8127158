"""The budgets that are nearest to their ends, for a glance."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import DecimalField, ExpressionWrapper, F, Q
from django.db.models.functions import NullIf

from apps.spend.domain.budgets import PeriodKind, ScopeKind
from apps.spend.models import Budget, BudgetPeriod
from apps.spend.queries import ShownBudget, show_budget

MARKS = (50, 80, 100)
_WORDS = {0: "less than half", 50: "half used", 80: "nearly used up", 100: "used up"}
_SHARE = ExpressionWrapper(F("spent_usd") / NullIf(F("budget__cap_usd") + F("extra_usd"), 0), DecimalField())


@dataclass(frozen=True, slots=True)
class BudgetBar:
    """A budget with its present period; `percent` of it is spent, at most 100."""

    budget: ShownBudget
    percent: int
    level: int

    @property
    def word(self) -> str:
        return _WORDS[self.level]


def list_budget_bars(*, workspace_ids: Sequence[UUID] | None, now: datetime, limit: int = 6) -> list[BudgetBar]:
    """Of these workspaces (None: of all, and the platform's), the fullest first; not those of jobs, nor pauses: these have no cap."""
    own = {} if workspace_ids is None else {"workspace_id__in": workspace_ids}
    budgets = Budget.objects.filter(is_active=True, **own).exclude(scope=ScopeKind.JOB).exclude(period=PeriodKind.PAUSE)
    budgets = budgets.select_related("workspace", "api_key")
    present = BudgetPeriod.objects.filter(Q(ends_at=None) | Q(ends_at__gt=now), starts_at__lte=now, budget__in=budgets)
    fullest = present.annotate(share=_SHARE).select_related("budget__workspace", "budget__api_key")
    rows = list(fullest.order_by(F("share").desc(nulls_first=True), "id")[:limit])
    untouched = budgets.exclude(id__in=[row.budget_id for row in rows]).order_by("id")[:limit]
    shown = [show_budget(row.budget, row, now=now) for row in rows] + [show_budget(budget, None, now=now) for budget in untouched]
    return [_bar(budget) for budget in shown[:limit]]


def _bar(budget: ShownBudget) -> BudgetBar:
    percent = budget.spent_percent
    level = max((mark for mark in MARKS if percent >= mark), default=0)
    # Rounded down: what is nearly full doesn't look full.
    return BudgetBar(budget=budget, percent=int(percent), level=level)
