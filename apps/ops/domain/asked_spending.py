"""What a program asks about spend, read from the texts of a query: which time, and of whom; and the same values written for it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID
from zoneinfo import ZoneInfo

from apps.lib.ids import parse_public_id, public_id
from apps.spend.domain.spending import Dimension, QuestionError, Span, Step, day_of, month_of

NONE = "none"
# What is really called so is written in quotes, and what is called so with quotes in one more pair.
_QUOTED = re.compile(f'("*){NONE}\\1')
# Within a workspace it has one value.
DIMENSIONS = tuple(dimension for dimension in Dimension if dimension is not Dimension.WORKSPACE)
MOST_POINTS = 1000
_FIRST, _LAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
_PREFIXES = {Dimension.API_KEY: "key_", Dimension.JOB: "batch_"}
_STEPS = {Step.HOUR: timedelta(hours=1), Step.DAY: timedelta(days=1)}


class NamedPeriod(StrEnum):
    """Stretches of time that have a name; they begin and end where the workspace's clocks say so."""

    TODAY = "today"
    YESTERDAY = "yesterday"
    MONTH = "month"
    LAST_MONTH = "last_month"


def span_of(*, period: str | None, since: str | None, until: str | None, zone: ZoneInfo, now: datetime) -> Span:
    """By a period's name (this month's when nothing is said), or from `since` until `until`, or until the end of today."""
    if since is None:
        if until is not None:
            raise QuestionError("since", "'until' needs 'since' beside it.")
        return _named(NamedPeriod(period or NamedPeriod.MONTH), zone=zone, now=now)
    if period is not None:
        raise QuestionError("period", "Send either 'period' or 'since', not both.")
    span = Span(_moment("since", since, zone), day_of(now, zone).until if until is None else _moment("until", until, zone))
    if span.since >= span.until:
        raise QuestionError("since", "'since' must lie before 'until', or before the end of today when there is no 'until'.")
    return span


def _named(period: NamedPeriod, *, zone: ZoneInfo, now: datetime) -> Span:
    this = day_of(now, zone) if period in {NamedPeriod.TODAY, NamedPeriod.YESTERDAY} else month_of(now, zone)
    if period in {NamedPeriod.TODAY, NamedPeriod.MONTH}:
        return this
    a_moment_before = this.since - timedelta(seconds=1)
    return day_of(a_moment_before, zone) if period is NamedPeriod.YESTERDAY else month_of(a_moment_before, zone)


def _moment(name: str, text: str, zone: ZoneInfo) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        moment = (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        why = f"'{name}' must be a day or a moment in ISO 8601, like 2026-11-01 or 2026-11-01T09:30:00Z."
        raise QuestionError(name, why) from error
    if not _FIRST <= moment < _LAST:
        raise QuestionError(name, f"'{name}' must lie between the years 2000 and 2200.")
    return moment


def check_points(span: Span, step: Step) -> None:
    """QuestionError when a course would be longer than an answer may be."""
    if (span.until - span.since) / _STEPS[step] > MOST_POINTS:
        raise QuestionError("since", f"That is a course of more than {MOST_POINTS} points: ask for less time, or for days.")


@dataclass(frozen=True, slots=True)
class Words:
    """The names that callers know models and providers by."""

    models: Mapping[UUID, str]
    providers: Mapping[UUID, str]

    def read(self, by: Dimension, text: str) -> UUID | str | None:
        """A filter's value; `none` means those without one, `"none"` those that are called so."""
        if text == NONE:
            return None
        text = text[1:-1] if _QUOTED.fullmatch(text) else text
        if prefix := _PREFIXES.get(by):
            if (found := parse_public_id(prefix, text)) is None:
                raise QuestionError(by.value, f"'{by.value}' must be an id: {prefix} and 32 hex digits; or {NONE}.")
            return found
        if not by.is_id:
            return text
        found = next((row_id for row_id, name in self._names(by).items() if name == text), None) or _id(text)
        if found is None:
            raise QuestionError(by.value, f"There is no {by.value} called {text[:100]!r}.")
        return found

    def tell(self, by: Dimension, value: UUID | str | None) -> str | None:
        """The same value as a filter takes it; None for those without one. What has been deleted is told by its id."""
        if value is None or value == "":
            return None
        if isinstance(value, UUID) and (prefix := _PREFIXES.get(by)):
            return public_id(prefix, value)
        name = value if isinstance(value, str) else self._names(by).get(value) or str(value)
        return f'"{name}"' if _QUOTED.fullmatch(name) else name

    def _names(self, by: Dimension) -> Mapping[UUID, str]:
        return {Dimension.MODEL: self.models, Dimension.PROVIDER: self.providers}.get(by, {})


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
