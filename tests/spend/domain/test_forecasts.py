"""What a period will come to, when nothing is said yet, and when it is told."""

from datetime import timedelta
from decimal import Decimal

import pytest

from apps.spend.domain.forecasts import forecast_by_days, forecast_by_week, forecast_evenly, is_early, is_slow, is_told

HOUR, DAY, MONTH = timedelta(hours=1), timedelta(days=1), timedelta(days=30)
TEN = Decimal(10)


@pytest.mark.parametrize(
    ("period", "elapsed", "early"),
    [
        ("hour", timedelta(minutes=14), True),
        ("hour", timedelta(minutes=15), False),
        ("day", 5.9 * HOUR, True),
        ("day", 6 * HOUR, False),
        ("month", 2.9 * DAY, True),
        ("month", 3 * DAY, False),
        ("total", 1000 * DAY, True),
        ("pause", 1000 * DAY, True),
    ],
)
def test_the_first_part_of_a_period_says_nothing(period: str, elapsed: timedelta, *, early: bool) -> None:
    assert is_early(period, elapsed) is early


def test_an_hour_goes_on_as_it_went_and_a_day_from_its_half_on() -> None:
    assert forecast_evenly(TEN, "hour", elapsed=timedelta(minutes=15), whole=HOUR) == 40
    assert forecast_evenly(TEN, "day", elapsed=11 * HOUR, whole=DAY) is None
    assert forecast_evenly(TEN, "day", elapsed=12 * HOUR, whole=DAY) == 20


def test_a_day_goes_on_as_such_days_did_on_its_own_level() -> None:
    """By noon such days had cost 40 of 50: there is little to come."""
    assert forecast_by_days(TEN, before_usd=Decimal(40), after_usd=Decimal(10)) == Decimal("12.5")
    assert forecast_by_days(TEN, before_usd=Decimal(5), after_usd=Decimal(45)) == 100


def test_a_month_goes_on_as_the_last_week() -> None:
    assert forecast_by_week(TEN, week_usd=Decimal(7), rest=20 * DAY) == pytest.approx(Decimal(30))
    assert forecast_by_week(TEN, week_usd=Decimal(0), rest=20 * DAY) == 10


def test_far_below_an_even_course_nobody_looks_closer() -> None:
    assert is_slow(Decimal(4), Decimal(20), elapsed=15 * DAY, whole=MONTH)
    assert not is_slow(Decimal(5), Decimal(20), elapsed=15 * DAY, whole=MONTH)


@pytest.mark.parametrize(
    ("forecast", "spent", "is_open", "told"),
    [
        ("10.5", "5", False, False),
        ("10.6", "5", False, True),
        ("10.6", "10", False, False),
        ("9.1", "5", True, True),
        ("9", "5", True, False),
        ("12", "10", True, True),
    ],
)
def test_it_is_told_from_just_above_the_cap_until_well_below_it(forecast: str, spent: str, *, is_open: bool, told: bool) -> None:
    assert is_told(Decimal(forecast), spent_usd=Decimal(spent), cap_usd=TEN, is_open=is_open) is told
