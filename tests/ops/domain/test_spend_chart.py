"""The course as bars: every slot in its place, what is to come left open, and a scale that reads well."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from apps.ops.domain.spend_chart import Slot, draw, slots_of
from apps.ops.domain.spend_period import choose_period
from apps.spend.domain.spending import Point, Step, Sums

UTC_ZONE = ZoneInfo("UTC")
NOW = datetime(2026, 11, 21, 2, 30, tzinfo=UTC)


def points(since: datetime, step: timedelta, *costs: str) -> list[Point]:
    return [Point(since + n * step, Sums(calls=1, cost_usd=Decimal(cost))) for n, cost in enumerate(costs)]


def test_hours_to_come_are_left_open_and_those_before_lie_beside() -> None:
    period, _ = choose_period("today", zone=UTC_ZONE, now=NOW)
    hour = timedelta(hours=1)
    now, before = points(period.span.since, hour, *["1"] * 24), points(period.before.since, hour, "3", "4", "5")
    slots, unit = slots_of(period, Step.HOUR, now, before)
    assert unit == "hour"
    assert [slot.label for slot in slots[:2]] == ["00:00", "01:00"]
    assert [slot.cost_usd for slot in slots[:4]] == [1, 1, 1, None]
    assert [slot.before_usd for slot in slots[:4]] == [3, 4, 5, None]
    assert len(draw(slots, unit).line.split()) == 3


def test_days_lead_to_their_own_pages_and_a_year_is_told_by_weeks() -> None:
    period, _ = choose_period("own", first="2026-11-01", last="2026-11-03", zone=UTC_ZONE, now=NOW)
    slots, unit = slots_of(period, Step.DAY, points(period.span.since, timedelta(days=1), "1", "0", "2"), [])
    assert (slots[0].label, slots[0].day) == ("Sun 1 Nov", "2026-11-01")
    assert (unit, [slot.before_usd for slot in slots]) == ("day", [0, 0, 0])
    year, _ = choose_period("own", first="2025-11-01", last="2026-10-31", zone=UTC_ZONE, now=NOW)
    weeks, unit = slots_of(year, Step.DAY, points(year.span.since, timedelta(days=1), *["1"] * 365), [])
    assert (unit, len(weeks), weeks[0].cost_usd, weeks[-1].cost_usd) == ("week", 53, 7, 1)


def test_bars_are_as_high_as_their_share_of_a_round_number() -> None:
    slots = [Slot("a", Decimal(30), Decimal(0), 1), Slot("b", Decimal(0), Decimal(50), 0), Slot("c", None, None, 0)]
    course = draw(slots, "day")
    assert course.top_usd == 50
    assert [(one.x, one.y, one.height) for one in course.slots] == [(1, 40.0, 60.0), (11, 100.0, 0.0), (21, 100.0, 0.0)]
    assert course.line == "5,100.0 15,0.0"
    assert course.highest is slots[0]


@pytest.mark.parametrize(("most", "top"), [("0", "0"), ("0.00031", "0.0005"), ("1", "1"), ("1.01", "2"), ("2.2", "2.5"), ("51", "100")])
def test_the_scale_ends_at_a_number_that_reads_well(most: str, top: str) -> None:
    assert draw([Slot("a", Decimal(most), Decimal(0), 1)], "day").top_usd == Decimal(top)


def test_of_nothing_there_is_an_empty_picture() -> None:
    course = draw([], "day")
    assert (course.slots, course.line, course.highest) == ([], "", None)
