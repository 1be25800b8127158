"""Remember what providers were used for today, so that the page which shows it never adds up a day of charges."""

from datetime import datetime

from apps.spend.queries import read_usage_of_day


def remember_usage(*, now: datetime) -> int:
    """How many of our models were answered today, each target counted."""
    return len(read_usage_of_day(day_began_at=now.replace(hour=0, minute=0, second=0, microsecond=0), now=now))
