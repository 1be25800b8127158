"""When a job would be over: its own requests, what stands in line beside them, and how fast calls go."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from apps.jobs.domain.fairness import LANE_WEIGHTS
from apps.jobs.domain.lifecycle import Lane
from apps.providers.domain.pace import Pace

# What one pump carries on an ordinary core, however short its calls are.
_MOST_PER_PUMP = 400.0
_CHECKED_PER_SECOND = 20_000
# Until a worker has been rung for, and looks.
_BEGIN_SECONDS = 1.0
WORKERS = "workers"


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is left of another job that runs; its model is empty where it asks for several."""

    lane: str
    model: str
    items: int


@dataclass(frozen=True, slots=True)
class Workers:
    """How many calls all pumps of a lane may have in the air, and how many pumps these are."""

    pumps: int
    window: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """Seconds until the job is over; None while nothing is sent, `stopped` says why. `items_ahead` go before its last item.

    `is_guessed`: how long a call takes is not known.
    """

    seconds: float | None
    items_per_second: float
    bound_by: str
    items_ahead: int
    call_seconds: float
    is_guessed: bool
    stopped: str = ""

    @property
    def bound(self) -> str:
        """In words."""
        return self.bound_by.replace("_", " ")

    @property
    def time(self) -> timedelta | None:
        return None if self.seconds is None else timedelta(seconds=round(self.seconds))


def count_ahead(waiting: Sequence[Waiting], *, lane: str, model: str, requests: int) -> int:
    """What of other jobs goes before this one's last item: jobs of one lane take turns, and lanes by their weights."""
    ahead = 0
    for other in waiting:
        if other.model not in {"", model} or (other.lane == Lane.INTERACTIVE) != (lane == Lane.INTERACTIVE):
            continue
        ahead += min(other.items, requests * LANE_WEIGHTS[Lane(other.lane)] // LANE_WEIGHTS[Lane(lane)])
    return ahead


def foresee_end(
    *, requests: Mapping[str, int], calls_each: float, paces: Mapping[str, Pace], waiting: Sequence[Waiting], lane: str, workers: Workers
) -> Forecast:
    """`requests` by model. Models go side by side: the slowest decides. `calls_each`: how many calls an item takes."""
    slowest: Forecast | None = None
    total = sum(requests.values())
    for model, number in requests.items():
        pace, ahead = paces[model], count_ahead(waiting, lane=lane, model=model, requests=number)
        rates = {WORKERS: min(workers.pumps * _MOST_PER_PUMP, workers.window / max(pace.call_seconds, 0.001)) * number / total}
        if pace.calls_per_second is not None:
            rates[pace.bound_by] = pace.calls_per_second
        bound_by = min(rates, key=lambda name: rates[name])
        rate = rates[bound_by] / calls_each
        seconds = (number + ahead) / rate + pace.call_seconds * calls_each + total / _CHECKED_PER_SECOND + _BEGIN_SECONDS
        found = Forecast(None if pace.stopped else seconds, rate, bound_by, ahead, pace.call_seconds, pace.is_guessed, pace.stopped)
        if slowest is None or (slowest.seconds is not None and (found.seconds is None or found.seconds > slowest.seconds)):
            slowest = found
    return slowest or Forecast(0.0, 0.0, "", 0, 0.0, is_guessed=True)
