"""Runaways: whether what a thing did in the last minutes is far beyond what it usually does at that hour of the week.

Usual is, for each of the windows, the median over the last weeks of the busiest so many minutes of that hour. So a batch that comes each
Monday and is through in a minute is usual, and ten times the calls of a steady feature show after a minute, not at the end of the hour.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from statistics import median
from uuid import UUID

from apps.spend.domain.budgets import ScopeKind, find_zone

# Minutes looked back: the shortest tells soon, the longer ones find what comes in pieces.
WINDOWS = (2, 10, 60)
WEEKS = 4
# So much earlier or later than in other weeks is still on time.
_MARGIN = timedelta(minutes=15)
# Where less than this share of a busy hour is usual, nothing is: ten times of it means nothing.
_HARDLY = 0.02
# From a median deviation to a standard one, were it a normal distribution.
_NORMAL = 1.4826
_HOUR = timedelta(hours=1)
_WEEK = timedelta(days=7)

Amounts = tuple[float, ...]


class Measure(StrEnum):
    """What can run away."""

    CALLS = "calls"
    TOKENS = "tokens"
    USD = "usd"


# What was counted of each measure in each of the windows. Dollars are floats here: nobody pays by a deviation.
Pace = Mapping[Measure, Amounts]
STILL: Pace = {measure: (0.0,) * len(WINDOWS) for measure in Measure}


@dataclass(frozen=True, slots=True)
class Watched:
    """Whose calls are looked at together: a workspace's, or those of one of its keys or features."""

    scope: str
    workspace_id: UUID
    name: str = ""


def watched_of(workspace_id: UUID, api_key_id: UUID | None, feature: str) -> list[Watched]:
    """All that a call belongs to, narrowest first."""
    found = [Watched(ScopeKind.FEATURE, workspace_id, feature)] if feature else []
    if api_key_id:
        found.append(Watched(ScopeKind.API_KEY, workspace_id, str(api_key_id)))
    return [*found, Watched(ScopeKind.WORKSPACE, workspace_id)]


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """From when on it is one: so many times the usual, so many deviations above it, and in a window at least so much."""

    times: float = 3.0
    deviations: float = 6.0
    least_calls: float = 100
    least_tokens: float = 100_000
    least_usd: float = 1
    # A thing younger than this has no week to be compared with.
    least_days: float = 14

    def least(self, measure: Measure) -> float:
        return {Measure.CALLS: self.least_calls, Measure.TOKENS: self.least_tokens, Measure.USD: self.least_usd}[measure]

    def is_little(self, pace: Pace) -> bool:
        """Whether it is too little to be one, whatever is usual."""
        return all(max(pace[measure]) < self.least(measure) for measure in Measure)


@dataclass(frozen=True, slots=True)
class Bound:
    """What is usual for one measure in one window, and from when on it is a runaway."""

    usual: float
    limit: float


@dataclass(frozen=True, slots=True)
class Excess:
    """More than the bound: so much within so many minutes, where so much is usual."""

    measure: Measure
    minutes: int
    amount: float
    usual: float

    @property
    def times(self) -> float | None:
        """How many times the usual; None where nothing is."""
        return self.amount / self.usual if self.usual else None


def begin_of_hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def hours_alike(now: datetime, time_zone: str) -> list[frozenset[datetime]]:
    """For each of the last weeks, the hours that say what is usual now: at the same time by the clock, and by UTC where clocks changed."""
    local = now.astimezone(find_zone(time_zone)).replace(tzinfo=None)
    weeks = []
    for week in range(1, WEEKS + 1):
        by_clock = (local - week * _WEEK).replace(tzinfo=find_zone(time_zone)).astimezone(UTC)
        moments = {now - week * _WEEK, by_clock}
        weeks.append(frozenset(begin_of_hour(moment + shift) for moment in moments for shift in (-_MARGIN, _MARGIN)))
    return weeks


def busiest(minutes: Sequence[float]) -> Amounts:
    """The most within each window that ends in the last 60 of these minutes; those before them are what a window begins with."""
    most = []
    for window in WINDOWS:
        ends = range(len(minutes) - 60, len(minutes))
        most.append(max(sum(minutes[max(0, end - window + 1) : end + 1]) for end in ends))
    return tuple(most)


def busier(paces: Sequence[Pace]) -> Pace:
    """The most of several hours, in each window."""
    return {measure: tuple(max(amounts) for amounts in zip(*(pace[measure] for pace in paces), strict=True)) for measure in Measure}


def summed(paces: Iterable[Pace]) -> Pace:
    """Several things' together."""
    known = [STILL, *paces]
    return {measure: tuple(sum(amounts) for amounts in zip(*(pace[measure] for pace in known), strict=True)) for measure in Measure}


def find_bounds(weeks: Sequence[Pace], typical: Pace, sensitivity: Sensitivity) -> dict[Measure, tuple[Bound, ...]]:
    """For each measure and window. `weeks`: the hour alike of each of the last weeks; `typical`: of an hour in which anything happens."""
    return {
        measure: tuple(
            _bound([week[measure][at] for week in weeks], typical[measure][at], sensitivity, sensitivity.least(measure))
            for at in range(len(WINDOWS))
        )
        for measure in Measure
    }


def _bound(weeks: Sequence[float], typical: float, sensitivity: Sensitivity, least: float) -> Bound:
    usual = median(weeks)
    deviation = _NORMAL * median(abs(amount - usual) for amount in weeks)
    if usual < _HARDLY * typical:
        usual, deviation = typical, 0.0
    # However uneven the weeks were: twice as many times the usual is always too much.
    spread = min(usual + sensitivity.deviations * deviation, 2 * sensitivity.times * usual)
    return Bound(usual, max(least, sensitivity.times * usual, spread))


def find_excess(pace: Pace, bounds: Mapping[Measure, Sequence[Bound]]) -> list[Excess]:
    """What is beyond its bound and still goes on, for each measure in the shortest window that shows it."""
    found = []
    for measure in Measure:
        amounts, limits = pace[measure], bounds[measure]
        for at, window in enumerate(WINDOWS):
            if amounts[at] >= limits[at].limit and _goes_on(amounts, limits, at):
                found.append(Excess(measure, window, amounts[at], limits[at].usual))
                break
    return found


def find_beginning(minutes: Sequence[float], usual: float, window: int) -> int:
    """How many of the last minutes have been busier than usual, without a break of more than one; the newest is the last of them."""
    limit, began, quiet = usual / window, 1, 0
    for ago, amount in enumerate(reversed(minutes), start=1):
        if amount > limit:
            began, quiet = ago, 0
        elif (quiet := quiet + 1) > 2:
            break
    return began


def _goes_on(amounts: Amounts, limits: Sequence[Bound], at: int) -> bool:
    """A longer window remembers what is over: the next shorter one has to be faster than is usual there, too."""
    if at == 0:
        return True
    return amounts[at - 1] * WINDOWS[at] > limits[at].usual * WINDOWS[at - 1]
