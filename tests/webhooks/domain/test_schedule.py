"""The schedule: ten tries in three days, with jitter; what a receiver wishes; when an endpoint rests and when it is given up."""

from datetime import UTC, datetime, timedelta

import pytest

from apps.webhooks.domain.schedule import HEALTHY, PAUSES, Verdict, after, judge, next_pause, read_wish

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def test_ten_tries_take_75_6_hours() -> None:
    assert len(PAUSES) == 10
    assert round(sum(PAUSES) / 3600, 1) == 75.6
    pauses = [next_pause(tries, chance=0.5) for tries in range(10)]
    assert pauses == [timedelta(seconds=seconds) for seconds in PAUSES]
    assert next_pause(10, chance=0.5) is None


@pytest.mark.parametrize(("chance", "seconds"), [(0, 270), (0.5, 300), (1, 330)])
def test_a_pause_is_shaken_by_a_tenth(chance: float, seconds: float) -> None:
    pause = next_pause(2, chance=chance)
    assert pause is not None
    assert pause.total_seconds() == pytest.approx(seconds)


def test_a_wish_makes_a_pause_longer_never_shorter_and_no_longer_than_a_day() -> None:
    assert next_pause(1, chance=0.5, wish=timedelta(minutes=2)) == timedelta(minutes=2)
    assert next_pause(2, chance=0.5, wish=timedelta(seconds=1)) == timedelta(minutes=5)
    assert next_pause(1, chance=0.5, wish=timedelta(days=300)) == timedelta(days=1)


@pytest.mark.parametrize(
    ("status", "text", "seconds"),
    [
        (429, "120", 120),
        (503, "0", 0),
        (429, "Sat, 21 Nov 2026 12:01:00 GMT", 60),
        (429, "Sat, 21 Nov 2020 12:01:00 GMT", 0),
        (500, "120", None),
        (429, "", None),
        (429, "soon", None),
        (429, "-5", None),
        (429, "9" * 90, 999_999_999),
        (429, "Sat, 21 Nov 2026 12:01:00 -0000", None),
    ],
)
def test_what_retry_after_says(status: int, text: str, seconds: float | None) -> None:
    wish = read_wish(status, text, now=NOW)
    assert (wish.total_seconds() if wish is not None else None) == seconds


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        *((status, Verdict.ACCEPTED) for status in (200, 201, 202, 204, 299)),
        *((status, Verdict.RETRY) for status in (None, 301, 302, 307, 308, 400, 401, 404, 429, 500, 503)),
        (410, Verdict.GONE),
    ],
)
def test_answers_are_judged(status: int | None, verdict: Verdict) -> None:
    assert judge(status) == verdict


def test_an_endpoint_rests_after_five_failures_and_is_well_after_one_success() -> None:
    health = HEALTHY
    for number in range(1, 5):
        health = after(health, Verdict.RETRY, now=NOW + timedelta(seconds=number))
        assert (health.failures, health.rests_until, health.failing_since) == (number, None, NOW + timedelta(seconds=1))
    health = after(health, Verdict.RETRY, now=NOW)
    assert health.rests_until == NOW + timedelta(seconds=60)
    assert after(health, Verdict.ACCEPTED, now=NOW) == HEALTHY


def test_five_days_of_failures_are_too_long() -> None:
    health = after(HEALTHY, Verdict.RETRY, now=NOW)
    assert not health.has_failed_too_long(NOW + timedelta(days=5, seconds=-1))
    assert health.has_failed_too_long(NOW + timedelta(days=5))
    assert not HEALTHY.has_failed_too_long(NOW)
