"""When a delivery is tried again, and what becomes of an endpoint that keeps failing."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum

# Seconds before each try, ten in all; the last comes 75.6 hours after the first.
PAUSES = (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
JITTER = 0.1
# After so many failures in a row an endpoint is left in peace for a while, and then asked by one delivery at a time.
FAILURES_BEFORE_REST = 5
REST = timedelta(seconds=60)
# Nothing but failures for so long: it is switched off.
GIVEN_UP_AFTER = timedelta(days=5)
_LONGEST_WISH = timedelta(hours=24)
_GONE = 410
_BUSY = {429, 503}


class Verdict(StrEnum):
    """What an answer means for a delivery."""

    ACCEPTED = "accepted"
    RETRY = "retry"
    GONE = "gone"


@dataclass(frozen=True, slots=True)
class Health:
    """How an endpoint has answered lately."""

    failures: int
    failing_since: datetime | None
    rests_until: datetime | None

    def has_failed_too_long(self, now: datetime) -> bool:
        return self.failing_since is not None and now - self.failing_since >= GIVEN_UP_AFTER


HEALTHY = Health(failures=0, failing_since=None, rests_until=None)


def judge(status: int | None) -> Verdict:
    """Any 2xx is acceptance. Redirects are not followed and count as failures, like every other answer."""
    if status is not None and 200 <= status < 300:
        return Verdict.ACCEPTED
    return Verdict.GONE if status == _GONE else Verdict.RETRY


def after(health: Health, verdict: Verdict, *, now: datetime) -> Health:
    """The endpoint's health after one more answer."""
    if verdict == Verdict.ACCEPTED:
        return HEALTHY
    failures = health.failures + 1
    rests_until = now + REST if failures >= FAILURES_BEFORE_REST else None
    return Health(failures=failures, failing_since=health.failing_since or now, rests_until=rests_until)


def next_pause(tries: int, *, chance: float, wish: timedelta | None = None) -> timedelta | None:
    """How long to wait after so many tries; None: that was the last. `chance` is from 0 to 1; a wish is granted for a day."""
    if tries >= len(PAUSES):
        return None
    pause = timedelta(seconds=PAUSES[tries] * (1 - JITTER + 2 * JITTER * chance))
    return max(pause, min(wish, _LONGEST_WISH)) if wish else pause


def read_wish(status: int | None, retry_after: str, *, now: datetime) -> timedelta | None:
    """What `Retry-After` asks for, as seconds or as a date; None when it says nothing that can be read."""
    text = retry_after.strip()
    if status not in _BUSY or not text:
        return None
    if text.isdecimal():
        return timedelta(seconds=int(text[:9]))
    try:
        return max(parsedate_to_datetime(text) - now, timedelta(0))
    except (ValueError, TypeError):  # TypeError: a date without a zone
        return None
