"""The course of spend as bars, beside the same stretch of time before: numbers that a template can draw."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from apps.ops.domain.spend_period import Period
from apps.spend.domain.spending import Point, Step

STEP_WIDTH = 10
HEIGHT = 100
_MOST_BARS = 100
_NOTHING = Decimal(0)
_WEEK = 7


@dataclass(frozen=True, slots=True)
class Slot:
    """One hour, day or week; `before_usd` is that of the stretch before. Both are None for what is still to come."""

    label: str
    cost_usd: Decimal | None
    before_usd: Decimal | None
    calls: int
    # The day whose page it leads to, where it is one.
    day: str = ""


@dataclass(frozen=True, slots=True)
class DrawnSlot:
    """A slot with its place in the picture, which grows downward."""

    slot: Slot
    x: int
    y: float
    height: float
    before_y: float


@dataclass(frozen=True, slots=True)
class Course:
    """Slots from left to right; `line` are the points of the stretch before, `marks` the slots that are named below the picture."""

    slots: Sequence[DrawnSlot]
    unit: str
    width: int
    top_usd: Decimal
    line: str
    marks: Sequence[str]
    highest: Slot | None
    has_before: bool

    @property
    def middle_usd(self) -> Decimal:
        return self.top_usd / 2


def slots_of(period: Period, step: Step, points: Sequence[Point], before: Sequence[Point]) -> tuple[list[Slot], str]:
    """Every hour, day or week of the period, and which of these a slot is; the stretch before is laid beside it slot by slot."""
    slots = []
    for n, point in enumerate(points):
        # Where clocks are half an hour off, the first hour began in the day before.
        at = max(point.at, period.span.since).astimezone(period.zone)
        was = before[n].sums.cost_usd if n < len(before) else _NOTHING
        day = at.date() if step is Step.DAY else None
        label = f"{at:%a} {at.day} {at:%b}" if day else f"{at:%H:%M}" if period.first == period.last else f"{at:%a %H:%M}"
        is_to_come = at >= period.span.until
        slots.append(
            Slot(
                label=label,
                cost_usd=None if is_to_come else point.sums.cost_usd,
                before_usd=None if is_to_come else was,
                calls=point.sums.calls,
                day=day.isoformat() if day else "",
            )
        )
    return (slots, step.value) if len(slots) <= _MOST_BARS else (_weeks(slots), "week")


def _weeks(days: Sequence[Slot]) -> list[Slot]:
    return [_week(days[n : n + _WEEK]) for n in range(0, len(days), _WEEK)]


def _week(days: Sequence[Slot]) -> Slot:
    is_to_come = days[0].cost_usd is None
    return Slot(
        label=f"week from {days[0].label}",
        cost_usd=None if is_to_come else sum((day.cost_usd or _NOTHING for day in days), _NOTHING),
        before_usd=None if is_to_come else sum((day.before_usd or _NOTHING for day in days), _NOTHING),
        calls=sum(day.calls for day in days),
    )


def draw(slots: Sequence[Slot], unit: str) -> Course:
    """As high as the highest of both stretches, rounded up to a number that reads well."""
    highest = max((slot for slot in slots if slot.cost_usd), key=lambda slot: slot.cost_usd or _NOTHING, default=None)
    top = _round_up(max((amount or _NOTHING for slot in slots for amount in (slot.cost_usd, slot.before_usd)), default=_NOTHING))
    drawn = []
    for n, slot in enumerate(slots):
        height, before = _share(slot.cost_usd or _NOTHING, top), _share(slot.before_usd or _NOTHING, top)
        drawn.append(DrawnSlot(slot, n * STEP_WIDTH + 1, round(HEIGHT - height, 2), round(height, 2), round(HEIGHT - before, 2)))
    names = [slot.label for slot in slots]
    return Course(
        slots=drawn,
        unit=unit,
        width=len(slots) * STEP_WIDTH,
        top_usd=top,
        line=" ".join(f"{one.x - 1 + STEP_WIDTH // 2},{one.before_y}" for one in drawn if one.slot.before_usd is not None),
        marks=[names[0], names[len(names) // 2], names[-1]] if len(names) > 2 else names,
        highest=highest,
        has_before=any(slot.before_usd for slot in slots),
    )


def _share(amount: Decimal, top: Decimal) -> float:
    return float(max(_NOTHING, amount) / top * HEIGHT) if top else 0.0


def _round_up(amount: Decimal) -> Decimal:
    """The next of 1, 2, 2.5, 5 and 10 times a power of ten."""
    if amount <= 0:
        return _NOTHING
    power = Decimal(10) ** amount.adjusted()
    return next((power * step for step in map(Decimal, ("1", "2", "2.5", "5")) if power * step >= amount), power * 10)
