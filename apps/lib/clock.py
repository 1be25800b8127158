"""What time it is, by the clock that all machines share: that of Postgres.

A machine whose own clock is hours off, or that is set while it runs, still judges keys, windows, leases and signatures like the others.
The clock of Postgres is read twice a minute and carried on by a clock that nobody sets; a machine that agrees with it to within two
seconds goes by its own.
"""

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock

import psycopg
import structlog
from django.db import Error
from django.utils import timezone

from apps.lib.sql import server_cursor

log = structlog.get_logger(__name__)

_EVERY_SECONDS = 30.0
# After Postgres did not answer.
_AGAIN_SECONDS = 5.0
# An answer that took longer doesn't tell well enough which moment it was of.
_SLOW_SECONDS = 1.0
_AGREES = timedelta(seconds=2)
_FLAGGED = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class _Reading:
    """What Postgres said it was at a moment of the steady clock, and how far this machine's own clock was ahead."""

    at: datetime
    steady: float
    ahead: timedelta

    def now(self) -> datetime:
        return self.at + timedelta(seconds=time.monotonic() - self.steady)


class _Shared:
    reading: _Reading | None = None
    next_at = 0.0
    not_before = 0.0
    lock = Lock()


def current_time() -> datetime:
    """The time for a door to hand in. On an event loop, where nothing may wait, by what was read last."""
    local = timezone.now()
    if _is_due(local) and _may_wait():
        _read()
    reading = _Shared.reading
    if reading is None:
        return local
    shared = reading.now()
    return local if abs(local - shared) <= _AGREES else shared


def read_skew() -> timedelta:
    """How far this machine's own clock is ahead of that of Postgres, as it was read last; zero while they agree."""
    reading = _Shared.reading
    ahead = timezone.now() - reading.now() if reading else timedelta()
    return ahead if abs(ahead) > _AGREES else timedelta()


def _is_due(local: datetime) -> bool:
    now = time.monotonic()
    if now >= _Shared.next_at:
        return True
    if now < _Shared.not_before:
        return False
    reading = _Shared.reading
    # Somebody has set the clock, or the machine has slept.
    return reading is not None and abs(local - reading.now() - reading.ahead) > _AGREES


def _may_wait() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return True
    return False


def _read() -> None:
    """One thread at a time; the others go by what was read before."""
    if not _Shared.lock.acquire(blocking=False):
        return
    try:
        began = time.monotonic()
        _Shared.next_at = began + _AGAIN_SECONDS
        with server_cursor() as cursor:
            # Not before there is a connection, which may take seconds.
            asked = time.monotonic()
            cursor.execute("SELECT statement_timestamp()")
            (at,) = cursor.fetchone() or (None,)
        answered = time.monotonic()
        if at is None or answered - asked > _SLOW_SECONDS:
            return
        steady = (asked + answered) / 2
        ahead = timezone.now() - at - timedelta(seconds=time.monotonic() - steady)
        _Shared.reading, _Shared.next_at = _Reading(at=at, steady=steady, ahead=ahead), began + _EVERY_SECONDS
        if abs(ahead) > _FLAGGED:
            log.warning("clock_is_off", seconds_ahead_of_postgres=round(ahead.total_seconds(), 1))
    except (Error, psycopg.Error) as error:
        # Not even if this machine's own clock has just been set.
        _Shared.not_before = _Shared.next_at
        log.warning("clock_not_read", error=type(error).__name__)
    finally:
        _Shared.lock.release()
