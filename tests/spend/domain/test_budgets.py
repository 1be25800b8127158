"""When periods begin, and how many of a group fit into their purses."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.lib.ids import uuid7
from apps.spend.domain.budgets import Ask, Purse, Purses, Subject, grant, period_bounds

WORKSPACE, JOB = UUID(int=1), UUID(int=2)
SUBJECT = Subject(WORKSPACE, JOB)
ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "America/Sao_Paulo")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("period", "zone", "moment", "begin", "end"),
    [
        ("hour", "UTC", "2026-11-21T13:59:59", "2026-11-21T13:00:00", "2026-11-21T14:00:00"),
        ("hour", "Asia/Kolkata", "2026-11-21T13:15:00", "2026-11-21T12:30:00", "2026-11-21T13:30:00"),
        ("day", "UTC", "2026-11-21T00:00:00", "2026-11-21T00:00:00", "2026-11-22T00:00:00"),
        ("day", "Europe/Berlin", "2026-11-20T23:30:00", "2026-11-20T23:00:00", "2026-11-21T23:00:00"),
        # The clock goes forward: a day of 23 hours; and back: one of 25.
        ("day", "Europe/Berlin", "2026-03-29T12:00:00", "2026-03-28T23:00:00", "2026-03-29T22:00:00"),
        ("day", "Europe/Berlin", "2026-10-25T12:00:00", "2026-10-24T22:00:00", "2026-10-25T23:00:00"),
        # The hour that comes twice is two.
        ("hour", "Europe/Berlin", "2026-10-25T00:30:00", "2026-10-25T00:00:00", "2026-10-25T01:00:00"),
        ("hour", "Europe/Berlin", "2026-10-25T01:30:00", "2026-10-25T01:00:00", "2026-10-25T02:00:00"),
        ("month", "UTC", "2026-12-31T23:59:59", "2026-12-01T00:00:00", "2027-01-01T00:00:00"),
        ("month", "America/New_York", "2026-11-01T03:59:00", "2026-10-01T04:00:00", "2026-11-01T04:00:00"),
        ("day", "Nowhere/Land", "2026-11-21T12:00:00", "2026-11-21T00:00:00", "2026-11-22T00:00:00"),
    ],
)
def test_a_period_begins_where_the_workspaces_clock_says_so(period: str, zone: str, moment: str, begin: str, end: str) -> None:
    assert period_bounds(period, time_zone=zone, at=at(moment)) == (at(begin), at(end))


def test_a_total_never_ends() -> None:
    assert period_bounds("total", time_zone="UTC", at=at("2026-11-21T12:00:00")) == (at("1970-01-01T00:00:00"), None)


@given(
    period=st.sampled_from(["hour", "day", "month"]),
    zone=st.sampled_from(ZONES),
    moment=st.datetimes(datetime(2000, 1, 2), datetime(2040, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 -- hypothesis adds the zone
)
def test_every_moment_lies_in_its_period_and_periods_follow_each_other(period: str, zone: str, moment: datetime) -> None:
    begin, end = period_bounds(period, time_zone=zone, at=moment)
    assert end is not None
    assert begin <= moment < end
    assert period_bounds(period, time_zone=zone, at=begin) == (begin, end)
    assert period_bounds(period, time_zone=zone, at=end - timedelta(microseconds=1)) == (begin, end)
    assert period_bounds(period, time_zone=zone, at=end)[0] == end


def purse(cap: int, *, number: int = 10, spent: int = 0, reserved: int = 0, **values: Any) -> Purse:
    given_values: dict[str, Any] = {
        "period_id": UUID(int=number),
        "budget_id": UUID(int=number),
        "scope": "platform",
        "key": ("platform", None, ""),
        "cap_usd": Decimal(cap),
        "is_hard": True,
        "reserved_usd": Decimal(reserved),
        "spent_usd": Decimal(spent),
    }
    return Purse(**given_values | values)


def asks(*amounts: int) -> list[Ask]:
    return [Ask(uuid7(), uuid7(), SUBJECT, Decimal(amount)) for amount in amounts]


def test_those_that_fit_are_served_in_order_and_a_smaller_one_passes_a_bigger_one() -> None:
    wanted = asks(4, 5, 3, 3)
    granted, refused = grant(wanted, Purses([purse(10)]))
    assert granted == [wanted[0], wanted[1]]
    granted, refused = grant(wanted, Purses([purse(8)]))
    assert granted == [wanted[0], wanted[2]]
    assert set(refused) == {wanted[1].run_id, wanted[3].run_id}


def test_a_refusal_says_whether_anything_but_reservations_is_in_the_way() -> None:
    (ask,) = asks(3)
    assert not grant([ask], Purses([purse(5, reserved=4)]))[1][ask.run_id].is_spent
    assert grant([ask], Purses([purse(5, spent=3)]))[1][ask.run_id].is_spent
    # One that waits for reservations and one that is spent: the spent one decides.
    chain = Purses([purse(5, reserved=4), purse(5, spent=4, number=11, scope="workspace", key=("workspace", WORKSPACE, ""))])
    assert grant([ask], chain)[1][ask.run_id].purse.period_id == UUID(int=11)


def test_a_quota_is_cut_to_what_fits_and_never_to_nothing() -> None:
    purses, subjects = Purses([purse(10, reserved=2)]), {JOB: SUBJECT}
    assert purses.bound({JOB: 100}, subjects, {JOB: Decimal(2)}) == {JOB: 4}
    assert purses.bound({JOB: 100}, subjects, {JOB: Decimal(20)}) == {JOB: 1}
    assert purses.bound({JOB: 100}, subjects, {}) == {JOB: 100}
    assert Purses([purse(10, reserved=6)]).bound({JOB: 100}, subjects, {}) == {JOB: 32}
    assert Purses([purse(10, is_hard=False)]).bound({JOB: 100}, subjects, {JOB: Decimal(2)}) == {JOB: 100}


@given(
    amounts=st.lists(st.integers(0, 20), min_size=1, max_size=30),
    caps=st.lists(st.tuples(st.integers(0, 100), st.booleans()), min_size=1, max_size=3),
)
def test_no_hard_purse_is_exceeded_and_nobody_is_refused_for_nothing(amounts: list[int], caps: list[tuple[int, bool]]) -> None:
    purses = Purses([purse(cap, number=n, is_hard=is_hard) for n, (cap, is_hard) in enumerate(caps, start=1)])
    wanted = asks(*amounts)
    granted, refused = grant(wanted, purses)
    total = sum((one.amount_usd for one in granted), Decimal(0))
    hard = [cap for cap, is_hard in caps if is_hard]
    assert all(total <= cap for cap in hard)
    assert {one.run_id for one in granted} | set(refused) == {ask.run_id for ask in wanted}
    assert all(any(total + ask.amount_usd > cap for cap in hard) for ask in wanted if ask.run_id in refused)
