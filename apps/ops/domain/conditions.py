"""Which conditions are watched, and when each is one."""

from datetime import timedelta

# A job with fewer items than this says nothing about a share.
LEAST_ITEMS = 100
# More than one in so many of a job's items are dead.
ONE_IN = 100
# More than so many died within the time.
BURST_ITEMS = 25
BURST_TIME = timedelta(minutes=5)
# A dead item that nobody has attended to for so long.
UNATTENDED = timedelta(hours=24)
# A breaker that has not closed for so long.
BREAKER_TIME = timedelta(minutes=5)
# A report of use that makes no sense is a condition for so long after it came.
OVERSTATED_TIME = timedelta(hours=1)
# An address from which too many keys were refused is a condition for so long after the last of them.
SLOWED_TIME = timedelta(minutes=5)
# What was not seen for so long is over; what comes and goes within it is one alert.
QUIET = timedelta(minutes=2)
# Work that has been ready for so long should have a worker.
UNSERVED_SECONDS = 60


class NotKnownNowError(Exception):
    """Whether a condition holds can't be said at present: its alerts stay as they are."""


def say_seconds(seconds: float) -> str:
    """A duration as people say it."""
    for size, word in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            number = int(seconds // size)
            return f"{number} {word}{'' if number == 1 else 's'}"
    return f"{int(seconds)} seconds"
