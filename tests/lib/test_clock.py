"""The time of all machines: Postgres's, unless this machine agrees with it; never waited for on an event loop."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.utils import timezone

from apps.lib import clock
from apps.lib.clock import current_time, read_skew

pytestmark = pytest.mark.django_db
_real_now = timezone.now


# Far below the hours by which clocks are off here, and far above what a busy machine takes for an answer.
CLOSE = timedelta(minutes=5)


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(clock, "_SLOW_SECONDS", 60.0)
    monkeypatch.setattr(clock, "_AGAIN_SECONDS", 600.0)
    clock._Shared.reading, clock._Shared.next_at = None, 0.0
    yield
    clock._Shared.reading, clock._Shared.next_at = None, 0.0


def be_off(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    monkeypatch.setattr(clock.timezone, "now", lambda: _real_now() + by)


def is_right() -> bool:
    return abs(current_time() - _real_now()) < CLOSE


@pytest.mark.parametrize("hours", [-30, -2, 2, 30])
def test_a_clock_that_is_off_is_not_gone_by(monkeypatch: pytest.MonkeyPatch, hours: int) -> None:
    be_off(monkeypatch, timedelta(hours=hours))
    assert is_right()
    assert abs(read_skew() - timedelta(hours=hours)) < CLOSE


def test_a_clock_that_is_set_while_the_process_runs_is_noticed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert is_right()
    be_off(monkeypatch, timedelta(hours=-2))
    assert is_right()
    assert read_skew() < timedelta(hours=-1)
    be_off(monkeypatch, timedelta())
    assert is_right()
    assert read_skew() == timedelta()


def test_a_machine_that_agrees_goes_by_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    be_off(monkeypatch, timedelta(seconds=1))
    current_time()
    before = _real_now()
    assert current_time() >= before + timedelta(seconds=1)


async def test_on_an_event_loop_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    be_off(monkeypatch, timedelta(hours=2))
    # Nothing is known yet: by its own, without asking Postgres (which Django would refuse here).
    assert not is_right()


def test_without_postgres_it_goes_on_by_what_was_read_last(monkeypatch: pytest.MonkeyPatch) -> None:
    be_off(monkeypatch, timedelta(hours=2))
    assert is_right()
    asked = []

    def fail() -> None:
        asked.append(1)
        raise OperationalError

    monkeypatch.setattr(clock, "server_cursor", fail)
    clock._Shared.next_at = 0.0
    assert is_right()
    assert is_right()
    # A database that does not answer is not asked by each request.
    assert asked == [1]
