"""Which days a page of spend is about, and which it compares them with; days begin where the workspace's clocks say so."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from apps.spend.domain.spending import Span

CHOICES = {
    "today": "Today",
    "yesterday": "Yesterday",
    "7d": "7 days",
    "month": "This month",
    "last_month": "Last month",
}
OWN = "own"
DEFAULT = "month"
MOST_DAYS = 366
_WEEK = 7
# Longer periods are drawn by the day.
_HOURLY_DAYS = 2


@dataclass(frozen=True, slots=True)
class Period:
    """`span` ends now at the latest, `before` where it would have ended then; `ends_at` is where the chosen days end."""

    name: str
    label: str
    first: date
    last: date
    span: Span
    before: Span
    before_label: str
    ends_at: datetime
    zone: ZoneInfo

    @property
    def is_hourly(self) -> bool:
        return (self.last - self.first).days < _HOURLY_DAYS

    @property
    def is_open(self) -> bool:
        """Whether its end is still to come."""
        return self.span.until < self.ends_at


def zone_named(name: str) -> ZoneInfo:
    """The time zone; UTC for one that nobody knows."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """When that day begins."""
    return datetime.combine(day, time(), zone)


def choose_period(name: str, *, first: str = "", last: str = "", zone: ZoneInfo, now: datetime) -> tuple[Period, str]:
    """The period of that name, or from day to day; and what was wrong with the wish, where this month was taken instead."""
    today = now.astimezone(zone).date()
    if name == OWN or (not name and (first or last)):
        days, complaint = _read_days(first, last, today)
        if days:
            before = days[0] - timedelta(days=_length(*days))
            return _period(OWN, days, before, "the day before" if _length(*days) == 1 else "the days before", zone=zone, now=now), ""
        return _named(DEFAULT, today, zone, now), complaint
    return _named(name if name in CHOICES else DEFAULT, today, zone, now), ""


def _named(name: str, today: date, zone: ZoneInfo, now: datetime) -> Period:
    week, one = timedelta(days=_WEEK), timedelta(days=1)
    if name in {"today", "yesterday"}:
        day = today if name == "today" else today - one
        return _period(name, (day, day), day - week, f"{day - week:%A} last week", zone=zone, now=now)
    if name == "7d":
        return _period(name, (today - week + one, today), today - 2 * week + one, "the 7 days before", zone=zone, now=now)
    first = today.replace(day=1) if name == "month" else (today.replace(day=1) - one).replace(day=1)
    last = (first + timedelta(days=32)).replace(day=1) - one
    before = (first - one).replace(day=1)
    return _period(name, (first, last), before, f"{before:%B}", zone=zone, now=now)


def _period(name: str, days: tuple[date, date], before: date, before_label: str, *, zone: ZoneInfo, now: datetime) -> Period:
    first, last = days
    since, ends_at = midnight(first, zone), midnight(last + timedelta(days=1), zone)
    until = max(since, min(ends_at, now))
    if until < ends_at:
        # By the clock on the wall: a day on which it is set is compared to the same hour, too.
        local = until.astimezone(zone)
        before_until = datetime.combine(before + (local.date() - first), local.time(), zone)
        before_label += " to the same hour" if first == last else " to the same day and hour"
    elif name == "last_month":
        before_until = since
    else:
        before_until = midnight(before + timedelta(days=_length(first, last)), zone)
    label = CHOICES.get(name) or (f"{first}" if first == last else f"{first} to {last}")
    # A month with fewer days ends where this one begins.
    before_span = Span(midnight(before, zone), min(before_until, since))
    return Period(name, label, first, last, Span(since, until), before_span, before_label, ends_at, zone)


def _length(first: date, last: date) -> int:
    return (last - first).days + 1


def _read_days(first: str, last: str, today: date) -> tuple[tuple[date, date] | None, str]:
    """Both days; one that is left out is today's, or the other one."""
    try:
        begin = date.fromisoformat(first) if first else None
        end = date.fromisoformat(last) if last else None
    except ValueError:
        return None, "A day is written like 2026-11-30; this month is shown instead."
    begin, end = begin or end or today, end or today
    if end < begin:
        return None, f"{end} lies before {begin}; this month is shown instead."
    if _length(begin, end) > MOST_DAYS or begin.year < 2000 or end.year > today.year + 1:
        return None, f"At most {MOST_DAYS} days can be shown at once; this month is shown instead."
    return (begin, end), ""
