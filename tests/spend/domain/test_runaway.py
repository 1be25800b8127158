"""What runs away is told within two minutes, and ordinary weeks are quiet: in simulated time, looked at each half minute."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from apps.spend.domain.runaway import (
    STILL,
    WINDOWS,
    Measure,
    Pace,
    Sensitivity,
    busier,
    busiest,
    find_beginning,
    find_bounds,
    find_excess,
    hours_alike,
)
from tests.spend.rhythms import MONDAY, STEP, Batch, Life, Rhythm, ordinary_rhythm

USUAL = Sensitivity()
WEEK = timedelta(weeks=1)
TWO_MINUTES = 120


def calls(*amounts: float) -> Pace:
    return STILL | {Measure.CALLS: amounts}


def limits(*weeks: float, typical: float = 0) -> tuple[float, float]:
    """(usual, limit) of the shortest window."""
    bound = find_bounds([calls(week, week * 5, week * 30) for week in weeks], calls(typical, typical, typical), USUAL)[Measure.CALLS][0]
    return bound.usual, bound.limit


# --- ordinary weeks ------------------------------------------------------------------------------------------------


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(100, 104))
def test_eight_ordinary_weeks_of_a_new_feature_raise_none(seed: int) -> None:
    """161,280 looks: the first weeks know nothing, then there are two weeks to compare with, at last four."""
    life = Life(ordinary_rhythm(seed), seed, weeks=8)
    assert list(life.alarms(MONDAY, MONDAY + 8 * WEEK, USUAL)) == []


# --- ten times the usual -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2])
def test_ten_times_the_usual_calls_are_told_within_two_minutes_at_any_hour_of_the_week(seed: int) -> None:
    life, random = Life(Rhythm(holidays=frozenset({21})), seed, weeks=5), Random(seed)
    begins = [MONDAY + 4 * WEEK + timedelta(hours=hour) + STEP * random.randrange(120) for hour in range(167)]
    late = {begin: life.seconds_to_alarm(begin, 10, USUAL, most=timedelta(seconds=TWO_MINUTES)) for begin in begins}
    assert [begin for begin, seconds in late.items() if seconds is None] == []


def test_ten_times_the_usual_is_told_though_big_batches_come_each_week_unless_one_of_them_is_due() -> None:
    batches = (Batch(600, 5_000, 5), Batch(3 * 1440 + 130, 20_000, 20))
    life = Life(Rhythm(batches=batches), 3, weeks=5)
    due = {MONDAY + 4 * WEEK + timedelta(minutes=batch.minute_of_week) for batch in batches}
    begins = [MONDAY + 4 * WEEK + timedelta(minutes=20 + 60 * hour) for hour in range(167)]
    free = [begin for begin in begins if all(abs(begin - batch) > timedelta(minutes=90) for batch in due)]
    assert len(free) > 155
    late = [begin for begin in free if life.seconds_to_alarm(begin, 10, USUAL, most=timedelta(seconds=TWO_MINUTES)) is None]
    assert late == []


def test_a_batch_of_ten_times_its_size_is_told() -> None:
    week = [calls(400, 2_000, 5_000)] * 4
    bounds = find_bounds(week, calls(10, 40, 200), USUAL)
    assert find_excess(calls(700, 2_500, 5_500), bounds) == []
    (found,) = find_excess(calls(4_000, 4_000, 4_000), bounds)
    assert (found.measure, found.minutes, found.amount, found.usual, found.times) == (Measure.CALLS, 2, 4_000, 400, 10)


def test_as_many_calls_that_cost_ten_times_as_much_are_told_by_their_dollars() -> None:
    week = {Measure.CALLS: (50.0, 200.0, 1_000.0), Measure.TOKENS: (5e4, 2e5, 1e6), Measure.USD: (0.5, 2.0, 10.0)}
    (found,) = find_excess(week | {Measure.USD: (5.0, 7.0, 15.0)}, find_bounds([week] * 4, STILL, USUAL))
    assert (found.measure, found.minutes) == (Measure.USD, 2)


def test_a_slow_leak_is_told_by_the_hour() -> None:
    week = calls(60, 100, 300)
    (found,) = find_excess(calls(50, 250, 1_000), find_bounds([week] * 4, STILL, USUAL))
    assert (found.minutes, found.amount, found.usual) == (60, 1_000, 300)


# --- what is usual -------------------------------------------------------------------------------------------------


def test_usual_is_the_median_of_the_weeks_and_the_limit_follows_their_deviation() -> None:
    assert limits(100, 100, 100, 100) == (100, 300)
    assert limits(100, 100, 100, 0) == (100, 300)
    usual, limit = limits(80, 120, 60, 140)
    assert (usual, round(limit)) == (100, 367)
    # However uneven, six times the usual is too much.
    assert limits(0, 200, 0, 200) == (100, 600)


def test_a_little_is_never_told() -> None:
    assert limits(3, 3, 3, 3) == (3, 100)
    assert USUAL.is_little(calls(99, 99, 99))
    assert not USUAL.is_little(calls(1, 1, 100))
    assert not USUAL.is_little(STILL | {Measure.USD: (0.0, 0.0, 1.0)})


def test_an_hour_in_which_hardly_anything_is_usual_is_compared_with_a_busy_one() -> None:
    """Ten times nothing is nothing: a batch at an odd hour is no runaway, unless it is far bigger than batches are."""
    assert limits(0, 0, 0, 0, typical=2_000) == (2_000, 6_000)
    assert limits(10, 10, 10, 10, typical=2_000) == (2_000, 6_000)
    assert limits(100, 100, 100, 100, typical=2_000) == (100, 300)


def test_what_is_over_is_not_told_by_the_longer_windows() -> None:
    bounds = find_bounds([calls(60, 200, 1_000)] * 4, STILL, USUAL)
    assert [one.minutes for one in find_excess(calls(100, 300, 4_000), bounds)] == [60]
    assert find_excess(calls(5, 100, 4_000), bounds) == []


def test_the_same_hour_and_what_comes_a_quarter_of_an_hour_early_or_late() -> None:
    at = datetime(2026, 9, 30, 9, 30, tzinfo=UTC)
    assert hours_alike(at, "UTC")[0] == {datetime(2026, 9, 23, 9, tzinfo=UTC)}
    early, late = hours_alike(at + timedelta(minutes=20), "UTC")[0], hours_alike(at - timedelta(minutes=20), "UTC")[3]
    assert early == {datetime(2026, 9, 23, 9, tzinfo=UTC), datetime(2026, 9, 23, 10, tzinfo=UTC)}
    assert late == {datetime(2026, 9, 2, 8, tzinfo=UTC), datetime(2026, 9, 2, 9, tzinfo=UTC)}


def test_after_clocks_were_changed_people_come_by_the_clock_and_programs_by_utc() -> None:
    """In Berlin the clocks go back on 25 October 2026."""
    monday = datetime(2026, 10, 26, 8, 30, tzinfo=UTC)
    assert hours_alike(monday, "Europe/Berlin")[0] == {datetime(2026, 10, 19, hour, tzinfo=UTC) for hour in (7, 8)}
    assert hours_alike(monday, "nowhere")[0] == {datetime(2026, 10, 19, 8, tzinfo=UTC)}


def test_the_busiest_minutes_of_an_hour_begin_in_the_one_before() -> None:
    minutes = [0.0] * 120
    minutes[59], minutes[60], minutes[90] = 5, 7, 9
    assert busiest(minutes) == (12, 12, 21)
    assert len(busiest(minutes)) == len(WINDOWS)


def test_of_two_hours_the_busier_counts_in_each_window() -> None:
    assert busier([calls(1, 20, 30), calls(2, 10, 40)])[Measure.CALLS] == (2, 20, 40)


def test_when_it_began() -> None:
    quiet, busy = [5.0] * 50, [50.0, 60.0, 4.0, 70.0]
    assert find_beginning([*quiet, *busy], usual=20, window=2) == 4
    assert find_beginning([*busy, *quiet, 90.0], usual=20, window=2) == 1
    assert find_beginning(busy * 10, usual=20, window=2) == 40
