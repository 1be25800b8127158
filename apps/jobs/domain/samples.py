"""A job's course over time: counts taken now and then, and the rates between them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter

from apps.lib.loose_numbers import read_number

SAMPLES_KEY = "aiplatform:job-samples:{job_id}"
MOST_SAMPLES = 1_000
_BARS = 60
_RECENT_SECONDS = 60.0
# No moment and no count of ours is greater.
_MOST = 1e12


@dataclass(frozen=True, slots=True)
class Sample:
    """How many items had ended at a moment (seconds since 1970)."""

    at: float
    done: float
    dead: float

    def to_text(self) -> str:
        return f"{self.at:.1f} {self.done:.0f} {self.dead:.0f}"


@dataclass(frozen=True, slots=True)
class Bar:
    """Items a second from a moment on, for `seconds`."""

    at: float
    seconds: float
    done: float
    dead: float


def read_sample(text: str) -> Sample | None:
    """None for what is no sample: whoever reaches Redis may have written it."""
    numbers = [number for part in text.split() if (number := read_number(part)) is not None and 0 <= number < _MOST]
    return Sample(*numbers) if len(numbers) == len(text.split()) == len(fields(Sample)) else None


def read_samples(texts: Iterable[str]) -> list[Sample]:
    """Those that are some, in the order of time."""
    return sorted((sample for text in texts if (sample := read_sample(text))), key=attrgetter("at"))


def recent_rate(samples: Sequence[Sample]) -> float | None:
    """Items a second over the last minute of `samples` (oldest first); None when they don't tell."""
    if len(samples) < 2:
        return None
    last = samples[-1]
    first = next((sample for sample in samples if sample.at >= last.at - _RECENT_SECONDS), last)
    if last.at - first.at < 1:
        return None
    # A rerun takes dead items back: less than before is no rate.
    return max(0, last.done + last.dead - first.done - first.dead) / (last.at - first.at)


def to_bars(samples: Sequence[Sample]) -> list[Bar]:
    """At most sixty bars of equal width that hold the whole course."""
    if len(samples) < 2 or samples[-1].at <= samples[0].at:
        return []
    number = min(_BARS, len(samples) - 1)
    width = (samples[-1].at - samples[0].at) / number
    bars = []
    before = samples[0]
    for n in range(number):
        until = samples[0].at + (n + 1) * width
        after = _at(samples, until)
        bars.append(
            Bar(
                at=until - width,
                seconds=width,
                done=max(0.0, (after[0] - before.done) / width),
                dead=max(0.0, (after[1] - before.dead) / width),
            )
        )
        before = Sample(until, *after)
    return bars


def _at(samples: Sequence[Sample], moment: float) -> tuple[float, float]:
    """(done, dead) at a moment, on the straight line between the samples around it."""
    after = next((n for n, sample in enumerate(samples) if sample.at >= moment), len(samples) - 1)
    if after == 0:
        return samples[0].done, samples[0].dead
    left, right = samples[after - 1], samples[after]
    share = min(1.0, (moment - left.at) / (right.at - left.at)) if right.at > left.at else 1.0
    return left.done + share * (right.done - left.done), left.dead + share * (right.dead - left.dead)
