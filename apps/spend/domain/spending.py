"""Questions about spend, and what they are answered with: sums, their parts, their course, and what a month will come to."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

_NOTHING = Decimal(0)
_HOUR = timedelta(hours=1)
_QUARTER_MINUTES = 15
_WEEKS = 4


class Dimension(StrEnum):
    """What spend can be told apart by."""

    WORKSPACE = "workspace"
    API_KEY = "api_key"
    END_USER = "end_user"
    FEATURE = "feature"
    JOB = "job"
    LANE = "lane"
    MODEL = "model"
    PROVIDER = "provider"
    UPSTREAM_MODEL = "upstream_model"
    PROMPT_VERSION = "prompt_version"

    @property
    def column(self) -> str:
        return {"workspace": "workspace_id", "api_key": "api_key_id", "job": "job_id", "model": "model_id", "provider": "provider_id"}.get(
            self.value, self.value
        )

    @property
    def is_id(self) -> bool:
        """A row's id; else a text."""
        return self.column.endswith("_id")


class QuestionError(ValueError):
    """What can't be answered, and which part of the question asks it."""

    def __init__(self, part: str, why: str) -> None:
        super().__init__(why)
        self.part = part
        self.why = why


@dataclass(frozen=True, slots=True)
class Question:
    """Whose spend, and when: from `since` until just before `until`. No workspaces: of all; None as a filter's value: those without one."""

    since: datetime
    until: datetime
    workspace_ids: Sequence[UUID] | None = None
    filters: Mapping[Dimension, UUID | str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sums:
    """What was called for, and what it cost. `input_tokens` and `output_tokens` are all of them: also cached ones, also reasoning.

    `retry_usd` is the part of the cost for answers that were not their item's first: repairs, and what a cascade asked next.
    `waste_usd` is beside the cost, and the operator's: calls that were perhaps billed and brought nothing.
    """

    calls: int = 0
    items: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: Decimal = _NOTHING
    retries: int = 0
    retry_usd: Decimal = _NOTHING
    wasted: int = 0
    waste_usd: Decimal = _NOTHING
    cache_saved_usd: Decimal = _NOTHING
    cascade_saved_usd: Decimal = _NOTHING

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(*(getattr(self, name) + getattr(other, name) for name in SUMS))

    @property
    def tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    @property
    def saved_usd(self) -> Decimal:
        """By kept answers, and by first models less what their refused answers cost."""
        return self.cache_saved_usd + self.cascade_saved_usd


SUMS = tuple(part.name for part in fields(Sums))


@dataclass(frozen=True, slots=True)
class Slice:
    """The part of a sum that belongs to one value of a dimension; None, or an empty text: to none."""

    value: UUID | str | None
    sums: Sums


@dataclass(frozen=True, slots=True)
class Point:
    """One hour or day of a course, by when it begins."""

    at: datetime
    sums: Sums


class Step(StrEnum):
    """How far the points of a course lie apart."""

    HOUR = "hour"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class Move:
    """A value of a dimension in a period and in the one before."""

    value: UUID | str | None
    before_usd: Decimal
    now_usd: Decimal

    @property
    def change_usd(self) -> Decimal:
        return self.now_usd - self.before_usd


@dataclass(frozen=True, slots=True)
class HourOfWork:
    """What one feature or key of a workspace did within one hour (UTC)."""

    at: datetime
    workspace_id: UUID
    value: UUID | str | None
    calls: int
    tokens: int
    cost_usd: Decimal


@dataclass(frozen=True, slots=True)
class Forecast:
    """This month so far, and what it will come to; today, and the same weekday a week ago until the same time and in all."""

    month_began_at: datetime
    month_ends_at: datetime
    month_usd: Decimal
    forecast_usd: Decimal
    today_usd: Decimal
    last_week_until_now_usd: Decimal
    last_week_usd: Decimal


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time: from `since` until just before `until`."""

    since: datetime
    until: datetime


class Width(StrEnum):
    """How long the rows of a table of sums last, the longest first. They begin in UTC."""

    MONTH = "month"
    DAY = "day"
    HOUR = "hour"
    # Wherever clocks are set to, a day begins with one of these.
    QUARTER = "quarter_hour"

    def floor(self, moment: datetime) -> datetime:
        """When the one that holds the moment begins."""
        minute = moment.astimezone(UTC).replace(second=0, microsecond=0)
        if self is Width.QUARTER:
            return minute.replace(minute=minute.minute // _QUARTER_MINUTES * _QUARTER_MINUTES)
        hour = minute.replace(minute=0)
        if self is Width.HOUR:
            return hour
        return hour.replace(hour=0) if self is Width.DAY else hour.replace(day=1, hour=0)

    def ceiling(self, moment: datetime) -> datetime:
        """When the first one begins that doesn't begin before the moment."""
        floor = self.floor(moment)
        if floor == moment:
            return floor
        at_least = {
            Width.MONTH: timedelta(days=32), Width.DAY: timedelta(days=1), Width.HOUR: _HOUR,
            Width.QUARTER: timedelta(minutes=_QUARTER_MINUTES),
        }  # fmt: skip
        return self.floor(floor + at_least[self])


@dataclass(frozen=True, slots=True)
class Cut:
    """How stretches of time lie on whole rows of some widths: for each width what is in them from end to end, and the ends of others."""

    wholes: tuple[tuple[Span, ...], ...]
    ends: tuple[Span, ...]


def cut(spans: Iterable[Span], widths: Sequence[Width]) -> Cut:
    """The widest first: what it leaves at both ends is cut by the next. Whole ones that touch become one, and so do ends."""
    wholes, ends = [list[Span]() for _ in widths], list[Span]()
    for span in spans:
        rest = [span]
        for width, found in zip(widths, wholes, strict=True):
            # Each by itself: where two stretches touch, a row of the next width may lie in both of them.
            rest = [end for part in rest for end in _take_whole(part, width, found)]
        for end in rest:
            _append(ends, end)
    return Cut(tuple(tuple(found) for found in wholes), tuple(ends))


def _take_whole(span: Span, width: Width, found: list[Span]) -> list[Span]:
    """What is left of it, in the order of time."""
    first, last = width.ceiling(span.since), width.floor(span.until)
    if first >= last:
        return [span]
    _append(found, Span(first, last))
    return [Span(span.since, first), Span(last, span.until)]


def _append(spans: list[Span], span: Span) -> None:
    if span.since >= span.until:
        return
    if spans and spans[-1].until == span.since:
        span = Span(spans.pop().since, span.until)
    spans.append(span)


def day_of(moment: datetime, zone: ZoneInfo) -> Span:
    """The day that holds the moment, where the clocks of `zone` say so; 23 or 25 hours long when they are set."""
    local = moment.astimezone(zone)
    return _days(local.date(), local.date() + timedelta(days=1), zone)


def month_of(moment: datetime, zone: ZoneInfo) -> Span:
    """The month that holds the moment, where the clocks of `zone` say so."""
    first = moment.astimezone(zone).date().replace(day=1)
    return _days(first, (first + timedelta(days=32)).replace(day=1), zone)


def _days(first: date, end: date, zone: ZoneInfo) -> Span:
    return Span(_midnight(first, zone), _midnight(end, zone))


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def days_of(span: Span, zone: ZoneInfo) -> Iterator[Span]:
    """The days that the stretch touches, the first and the last cut to it."""
    day = day_of(span.since, zone)
    while day.since < span.until:
        yield Span(max(day.since, span.since), min(day.until, span.until))
        day = day_of(day.until, zone)


def hours_of(span: Span) -> Iterator[Span]:
    """The hours (UTC) that the stretch touches, each of them whole."""
    hour = Width.HOUR.floor(span.since)
    while hour < span.until:
        yield Span(hour, hour + _HOUR)
        hour += _HOUR


def before(span: Span) -> Span:
    """The stretch of the same length that ends where this one begins."""
    return Span(span.since - (span.until - span.since), span.since)


def week_before(moment: datetime, zone: ZoneInfo) -> datetime:
    """The same time of the same weekday, a week ago."""
    local = moment.astimezone(zone)
    day = local.date() - timedelta(days=7)
    return local.replace(year=day.year, month=day.month, day=day.day).astimezone(UTC)


def forecast_month(*, days: Mapping[date, Decimal], now: datetime, zone: ZoneInfo, month_usd: Decimal) -> Decimal:
    """What was spent this month, and for the rest of it as much as on such weekdays of the last four weeks.

    `days`: dollars of the days before today; days without any may be missing. What was spent before the first of them is not known,
    so they count from the first. With less than a week behind, every day is as the mean of all; with none, as today.
    """
    today = now.astimezone(zone).date()
    past = sorted(day for day in days if day < today and day >= today - timedelta(weeks=_WEEKS))
    month, day = month_of(now, zone), day_of(now, zone)
    left_of_today = Decimal((day.until - now) / (day.until - day.since))
    if not past:
        gone = Decimal((now - day.since) / (day.until - day.since))
        a_day = month_usd / gone if gone > Decimal("0.04") else month_usd
        return month_usd + a_day * (left_of_today + _days_between(day.until, month.until))
    behind = [past[0] + timedelta(days=number) for number in range((today - past[0]).days)]
    expected = _by_weekday(behind, days)
    rest = expected[today.weekday()] * left_of_today
    following = today + timedelta(days=1)
    while _midnight(following, zone) < month.until:
        rest += expected[following.weekday()]
        following += timedelta(days=1)
    return month_usd + rest


def _by_weekday(behind: Sequence[date], days: Mapping[date, Decimal]) -> list[Decimal]:
    mean = sum((days.get(day, _NOTHING) for day in behind), _NOTHING) / len(behind)
    expected = []
    for weekday in range(7):
        such = [days.get(day, _NOTHING) for day in behind if day.weekday() == weekday]
        expected.append(sum(such, _NOTHING) / len(such) if such and len(behind) >= 7 else mean)
    return expected


def _days_between(since: datetime, until: datetime) -> Decimal:
    return Decimal(round((until - since) / timedelta(days=1)))


def read_sums(values: Sequence[Any]) -> Sums:
    """From a row in the order of `SUMS`."""
    return Sums(*values)
