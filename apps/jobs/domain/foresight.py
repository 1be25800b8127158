"""What work would come to, told before it is submitted: cost, budgets, and when it would be over."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from apps.jobs.domain.estimate import Estimate
from apps.jobs.domain.forecast import Forecast

SURELY, PROBABLY, NO = "surely", "probably", "no"


@dataclass(frozen=True, slots=True)
class TouchedBudget:
    """A budget that the work would be counted in. Amounts are None where they are not the workspace's to know.

    `fits`: whether what is left is enough for the high cost (surely), for the likely one (probably), or not even that. A hard budget that
    isn't enough makes items wait until `waits_until` (None: until it is raised), or fail where the work doesn't want to wait.
    """

    id: str
    scope: str
    name: str
    period: str
    is_hard: bool
    cap_usd: Decimal | None
    spent_usd: Decimal | None
    reserved_usd: Decimal | None
    left_usd: Decimal | None
    needs_usd: Decimal | None
    fits: str
    waits_until: datetime | None
    waits_at_once: bool


@dataclass(frozen=True, slots=True)
class Foresight:
    """`ceiling_usd`: the sum of what would be reserved for each item; `dearest_usd` for the dearest one. None without a price."""

    estimate: Estimate | None
    ceiling_usd: Decimal | None
    dearest_usd: Decimal | None
    budgets: Sequence[TouchedBudget]
    finish: Forecast | None

    @property
    def has_room(self) -> bool:
        """No hard budget would make it wait, as far as can be told."""
        return all(budget.fits != NO or not budget.is_hard for budget in self.budgets)


def judge(*, left_usd: Decimal, likely_usd: Decimal | None, high_usd: Decimal | None) -> str:
    """What costs nothing, for want of a price, fits."""
    if left_usd >= (high_usd or Decimal(0)):
        return SURELY
    return PROBABLY if left_usd >= (likely_usd or Decimal(0)) else NO
