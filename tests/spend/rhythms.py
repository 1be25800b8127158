"""Weeks as offices have them, in simulated time: day and night, weekends, batches that come each week, growth, a holiday, chance."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from statistics import median

from apps.spend.domain.runaway import (
    STILL,
    WINDOWS,
    Bound,
    Excess,
    Measure,
    Pace,
    Sensitivity,
    begin_of_hour,
    busier,
    busiest,
    find_bounds,
    find_excess,
    hours_alike,
)

MONDAY = datetime(2026, 9, 7, tzinfo=UTC)
# As often as the platform looks.
STEP = timedelta(seconds=30)
_STEPS_A_MINUTE = 2
_MEASURES = tuple(Measure)


@dataclass(frozen=True, slots=True)
class Batch:
    """Comes each week at about that minute of the week, and is through within so many minutes."""

    minute_of_week: int
    calls: int
    minutes: int


@dataclass(frozen=True, slots=True)
class Rhythm:
    """What one feature does, in calls per hour."""

    day: float = 4_000
    night: float = 400
    weekend: float = 0.3
    growth_a_week: float = 0.05
    unevenness: float = 0.2
    batches: tuple[Batch, ...] = ()
    # Days since the beginning on which everybody is away, and no batch comes.
    holidays: frozenset[int] = frozenset()

    def calls_an_hour(self, at: datetime) -> float:
        days = (at - MONDAY).days
        # Up from seven, down by nineteen.
        office = max(0.0, math.sin((at.hour + at.minute / 60 - 6.5) / 13 * math.pi)) if 6.5 <= at.hour + at.minute / 60 <= 19.5 else 0.0
        if at.weekday() >= 5 or days in self.holidays:
            office *= self.weekend
        return (self.night + (self.day - self.night) * office) * (1 + self.growth_a_week) ** (days / 7)


def ordinary_rhythm(seed: int) -> Rhythm:
    """Small and big, office hours or around the clock, with batches of up to 30,000 calls that are through in minutes, and holidays."""
    random = Random(seed)
    day = 10 ** random.uniform(1.5, 4.3)
    return Rhythm(
        day=day,
        night=day * random.choice([0, 0.02, 0.1, 0.5]),
        weekend=random.choice([0, 0.1, 0.3, 1]),
        growth_a_week=random.uniform(0, 0.1),
        unevenness=random.uniform(0.05, 0.25),
        batches=tuple(
            Batch(random.randrange(7 * 24 * 60), int(10 ** random.uniform(2, 4.5)), random.choice([1, 3, 10, 40]))
            for _ in range(random.randint(0, 6))
        ),
        holidays=frozenset(random.sample(range(56), random.choice([0, 1, 1, 2]))),
    )


@dataclass
class Life:
    """What was counted of a feature, half minute by half minute, and what the platform remembers of it."""

    rhythm: Rhythm
    seed: int
    weeks: int
    counts: list[tuple[float, float, float]] = field(init=False)
    hours: list[Pace] = field(init=False)
    _bounds: dict[tuple[int, Sensitivity], dict[Measure, tuple[Bound, ...]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        random = Random(self.seed)
        steps = self.weeks * 7 * 24 * 60 * _STEPS_A_MINUTE
        batches = [0.0] * steps
        for week in range(self.weeks):
            for batch in self.rhythm.batches:
                self._add_batch(batches, batch, week, random)
        self.counts = [_used(calls, random) for calls in self._calls(batches, random)]
        self.hours = [self._remember(hour) for hour in range(self.weeks * 7 * 24)]

    def _add_batch(self, batches: list[float], batch: Batch, week: int, random: Random) -> None:
        """Up to ten minutes early or late, and not always of one size."""
        begin = week * 7 * 24 * 60 + batch.minute_of_week + random.randint(-10, 10)
        if begin // (24 * 60) in self.rhythm.holidays:
            return
        calls = batch.calls * random.uniform(0.7, 1.3)
        for step in range(batch.minutes * _STEPS_A_MINUTE):
            if begin * _STEPS_A_MINUTE + step < len(batches):
                batches[begin * _STEPS_A_MINUTE + step] += calls / (batch.minutes * _STEPS_A_MINUTE)

    def _calls(self, batches: list[float], random: Random) -> Iterator[float]:
        """Chance twice: how much is going on (it stays so for a while), and when each call comes."""
        mood = 0.0
        for step, extra in enumerate(batches):
            mood = 0.95 * mood + math.sqrt(1 - 0.95**2) * random.gauss(0, self.rhythm.unevenness)
            expected = self.rhythm.calls_an_hour(MONDAY + step * STEP) / 60 / _STEPS_A_MINUTE * math.exp(mood)
            yield _poisson(expected + extra, random)

    def _remember(self, hour: int) -> Pace:
        end = (hour + 1) * 60 * _STEPS_A_MINUTE
        steps = self.counts[max(0, end - 119 * _STEPS_A_MINUTE) : end]
        minutes = [[first[at] + second[at] for first, second in list(pairwise(steps))[::2]] for at in range(len(_MEASURES))]
        return {measure: busiest([0.0] * (119 - len(minutes[at])) + minutes[at]) for at, measure in enumerate(_MEASURES)}

    def bounds(self, now: datetime, sensitivity: Sensitivity) -> dict[Measure, tuple[Bound, ...]] | None:
        """As the platform finds them; None while it is too young."""
        if now - MONDAY < timedelta(days=sensitivity.least_days):
            return None
        # What is alike changes at a quarter past and a quarter to the hour.
        quarter = int((now - MONDAY) / timedelta(minutes=15)), sensitivity
        if quarter not in self._bounds:
            self._bounds[quarter] = self._find_bounds(now, sensitivity)
        return self._bounds[quarter]

    def _find_bounds(self, now: datetime, sensitivity: Sensitivity) -> dict[Measure, tuple[Bound, ...]]:
        alike = [[self._hour(at) for at in sorted(hours) if at >= MONDAY] for hours in hours_alike(now, "UTC")]
        weeks = [busier([self.hours[hour] for hour in week]) for week in alike if week]
        return find_bounds(weeks, self._typical(begin_of_hour(now)), sensitivity)

    def _hour(self, at: datetime) -> int:
        return int((at - MONDAY).total_seconds() // 3600)

    def _typical(self, hour: datetime) -> Pace:
        end = self._hour(hour)
        past = [pace for pace in self.hours[max(0, end - 672) : end] if pace[Measure.CALLS][-1]]
        if not past:
            return STILL
        return {measure: tuple(median(pace[measure][at] for pace in past) for at in range(len(WINDOWS))) for measure in Measure}

    def alarms(self, since: datetime, until: datetime, sensitivity: Sensitivity) -> Iterator[tuple[datetime, list[Excess]]]:
        """Every look that finds something."""
        sums = [self._sums(at) for at in range(len(_MEASURES))]
        for step in range(int((since - MONDAY) / STEP), int((until - MONDAY) / STEP)):
            now = MONDAY + step * STEP
            bounds = self.bounds(now, sensitivity)
            if bounds is not None and (found := find_excess(_pace(sums, step), bounds)):
                yield now, found

    def _sums(self, measure: int) -> list[float]:
        sums = [0.0]
        for counts in self.counts:
            sums.append(sums[-1] + counts[measure])
        return sums

    def seconds_to_alarm(self, begin: datetime, times: float, sensitivity: Sensitivity, *, most: timedelta) -> float | None:
        """How long it takes until so many times the usual calls, from then on, are noticed; None: longer than that."""
        random = Random(f"{self.seed} {begin}")
        first = int((begin - MONDAY) / STEP)
        counts = self.counts[max(0, first - 60 * _STEPS_A_MINUTE) : first]
        for step in range(1, int(most / STEP) + 1):
            usual = self.rhythm.calls_an_hour(begin + (step - 1) * STEP) / 60 / _STEPS_A_MINUTE
            counts.append(_used(_poisson(times * usual, random), random))
            lasts = [counts[-minutes * _STEPS_A_MINUTE :] for minutes in WINDOWS]
            pace = {measure: tuple(sum(one[at] for one in last) for last in lasts) for at, measure in enumerate(_MEASURES)}
            bounds = self.bounds(begin + step * STEP, sensitivity)
            if bounds is not None and find_excess(pace, bounds):
                return (step * STEP).total_seconds()
        return None


def _pace(sums: list[list[float]], step: int) -> Pace:
    return {
        measure: tuple(sums[at][step] - sums[at][max(0, step - minutes * _STEPS_A_MINUTE)] for minutes in WINDOWS)
        for at, measure in enumerate(_MEASURES)
    }


def _used(calls: float, random: Random) -> tuple[float, float, float]:
    """(calls, tokens, dollars): about 800 tokens a call, and every few calls by a model that costs ten times as much."""
    if not calls:
        return 0.0, 0.0, 0.0
    tokens = calls * 800 * math.exp(random.gauss(0, 0.6 / math.sqrt(calls)))
    return calls, tokens, tokens * 2e-6 * math.exp(random.gauss(0, 1 / math.sqrt(calls)))


def _poisson(expected: float, random: Random) -> float:
    if expected > 30:
        return float(max(0, round(random.gauss(expected, math.sqrt(expected)))))
    limit, product, number = math.exp(-expected), random.random(), 0
    while product > limit:
        product *= random.random()
        number += 1
    return float(number)
