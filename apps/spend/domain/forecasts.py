"""What a budget's period will come to, if it goes on as it does."""

from datetime import timedelta
from decimal import Decimal

from apps.spend.domain.budgets import PeriodKind

# Earlier than that a period has too little to say; a day without other days to compare it with says nothing before its half.
_FIRST = {PeriodKind.HOUR: timedelta(minutes=15), PeriodKind.DAY: timedelta(hours=6), PeriodKind.MONTH: timedelta(days=3)}
_HALF_A_DAY = timedelta(hours=12)
# Told from so much of the cap on, and over below so much: what comes near it and goes is one alert.
_TOLD_FROM = Decimal("1.05")
_OVER_BELOW = Decimal("0.9")


def is_early(period: str, elapsed: timedelta) -> bool:
    """Whether nothing is said yet; of a budget that never begins anew nothing ever is."""
    return period not in _FIRST or elapsed < _FIRST[PeriodKind(period)]


def is_slow(spent_usd: Decimal, cap_usd: Decimal, *, elapsed: timedelta, whole: timedelta) -> bool:
    """Whether it is so far below an even course that nobody need look closer."""
    return spent_usd * Decimal(whole / elapsed) < cap_usd / 2


def forecast_evenly(spent_usd: Decimal, period: str, *, elapsed: timedelta, whole: timedelta) -> Decimal | None:
    """As fast as until now; None where that would say too little."""
    if period == PeriodKind.DAY and elapsed < _HALF_A_DAY:
        return None
    return spent_usd * Decimal(whole / elapsed)


def forecast_by_days(spent_usd: Decimal, *, before_usd: Decimal, after_usd: Decimal) -> Decimal:
    """As the same days of other weeks went on from here, on the level of this one: `before_usd` until this time, `after_usd` afterwards."""
    return spent_usd + after_usd * spent_usd / before_usd


def forecast_by_week(spent_usd: Decimal, *, week_usd: Decimal, rest: timedelta) -> Decimal:
    """As the last seven days: whole weeks know of weekends."""
    return spent_usd + week_usd * Decimal(rest / timedelta(days=7))


def is_told(forecast_usd: Decimal, *, spent_usd: Decimal, cap_usd: Decimal, is_open: bool) -> bool:
    """Whether it will be more than the cap. What is spent already is told otherwise, unless this was told before."""
    if is_open:
        return forecast_usd > cap_usd * _OVER_BELOW
    return spent_usd < cap_usd and forecast_usd > cap_usd * _TOLD_FROM
