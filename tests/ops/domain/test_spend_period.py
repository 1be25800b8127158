"""Which days are meant, and which they are compared with, by the clocks of the workspace."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from apps.ops.domain.spend_period import CHOICES, choose_period, zone_named
from apps.spend.domain.spending import Span

BERLIN = ZoneInfo("Europe/Berlin")
# A Saturday.
NOW = datetime(2026, 11, 21, 14, 30, tzinfo=UTC)


def at(day: str, zone: ZoneInfo = BERLIN) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=zone)


def span(since: str, until: str) -> Span:
    return Span(at(since), at(until))


@pytest.mark.parametrize(
    ("name", "shown", "before", "label"),
    [
        ("today", span("2026-11-21", "2026-11-21T15:30"), span("2026-11-14", "2026-11-14T15:30"), "Saturday last week to the same hour"),
        ("yesterday", span("2026-11-20", "2026-11-21"), span("2026-11-13", "2026-11-14"), "Friday last week"),
        (
            "7d",
            span("2026-11-15", "2026-11-21T15:30"),
            span("2026-11-08", "2026-11-14T15:30"),
            "the 7 days before to the same day and hour",
        ),
        ("month", span("2026-11-01", "2026-11-21T15:30"), span("2026-10-01", "2026-10-21T15:30"), "October to the same day and hour"),
        ("last_month", span("2026-10-01", "2026-11-01"), span("2026-09-01", "2026-10-01"), "September"),
    ],
)
def test_each_choice_is_compared_with_what_is_like_it(name: str, shown: Span, before: Span, label: str) -> None:
    period, complaint = choose_period(name, zone=BERLIN, now=NOW)
    assert (period.span, period.before, period.before_label, complaint) == (shown, before, label, "")
    assert period.label == CHOICES[name]


def test_a_day_begins_where_the_workspace_is() -> None:
    late = datetime(2026, 11, 21, 23, 30, tzinfo=UTC)
    assert choose_period("today", zone=BERLIN, now=late)[0].first == date(2026, 11, 22)
    assert choose_period("today", zone=zone_named("UTC"), now=late)[0].first == date(2026, 11, 21)


def test_a_day_on_which_clocks_are_set_has_25_hours_and_is_compared_by_the_wall() -> None:
    period, _ = choose_period("today", zone=BERLIN, now=datetime(2026, 10, 25, 20, tzinfo=UTC))
    assert (period.ends_at - period.span.since).total_seconds() == 24 * 3600  # wall clock: both ends are in one zone
    assert (period.ends_at.astimezone(UTC) - period.span.since.astimezone(UTC)).total_seconds() == 25 * 3600
    assert period.before.until == at("2026-10-18T21:00")


def test_a_month_is_never_compared_with_its_own_days() -> None:
    period, _ = choose_period("month", zone=BERLIN, now=datetime(2026, 3, 31, 12, tzinfo=UTC))
    assert period.before == span("2026-02-01", "2026-03-01")


def test_days_of_ones_own_are_compared_with_as_many_before() -> None:
    period, complaint = choose_period("own", first="2026-11-02", last="2026-11-04", zone=BERLIN, now=NOW)
    assert (period.span, period.before, complaint) == (span("2026-11-02", "2026-11-05"), span("2026-10-30", "2026-11-02"), "")
    assert choose_period("", first="2026-11-02", zone=BERLIN, now=NOW)[0].last == date(2026, 11, 21)


@pytest.mark.parametrize(
    ("first", "last", "words"),
    [
        ("2026-11-04", "2026-11-02", "lies before"),
        ("yesterday", "", "written like"),
        ("2020-01-01", "2026-01-01", "At most 366"),
        ("0001-01-01", "0001-01-02", "At most 366"),
        ("9999-12-31", "9999-12-31", "At most 366"),
    ],
)
def test_days_that_make_no_period_are_complained_about(first: str, last: str, words: str) -> None:
    period, complaint = choose_period("own", first=first, last=last, zone=BERLIN, now=NOW)
    assert period.name == "month"
    assert words in complaint


def test_an_unknown_choice_is_this_month_and_an_unknown_zone_is_utc() -> None:
    assert choose_period("century", zone=BERLIN, now=NOW)[0].name == "month"
    assert zone_named("Atlantis/Capital").key == zone_named("../etc/passwd").key == "UTC"


def test_days_to_come_are_nothing_yet() -> None:
    period, _ = choose_period("own", first="2026-12-01", last="2026-12-02", zone=BERLIN, now=NOW)
    assert period.span.since == period.span.until
    assert period.is_open
