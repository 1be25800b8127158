"""How the simulator behaves towards one API key, or towards everybody: set from the command line, changed over HTTP while it runs."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from apps.ops.domain.simulation import Script, SimulationInvalidError, read_failures, read_latency, read_script
from apps.ops.domain.sliding_minute import Most

_MOST_DRIFT = 100.0
_LONGEST_SECONDS = 3600.0
_TEXTS = ("latency", "fail", "script")
_LIMITS = ("requests_per_minute", "tokens_per_minute", "input_tokens_per_minute", "output_tokens_per_minute")
_NUMBERS = (*_LIMITS, "drift_per_minute", "seconds")


@dataclass(frozen=True, slots=True)
class Behaviour:
    """`script` holds for `seconds` from when it was set (0: until changed); the latency is multiplied by `drift_per_minute` each minute."""

    latency: Callable[[], float]
    failures: tuple[tuple[Script, float], ...] = ()
    script: Script | None = None
    seconds: float = 0.0
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    input_tokens_per_minute: int | None = None
    output_tokens_per_minute: int | None = None
    drift_per_minute: float = 1.0

    def most(self) -> Most:
        """The limits a minute."""
        return Most(self.requests_per_minute, self.tokens_per_minute, self.input_tokens_per_minute, self.output_tokens_per_minute)

    def script_at(self, age_seconds: float) -> Script | None:
        return self.script if not self.seconds or age_seconds < self.seconds else None

    def latency_at(self, age_seconds: float) -> float:
        factor: float = self.drift_per_minute ** min(age_seconds / 60, 60)
        return min(self.latency() * factor, _LONGEST_SECONDS)


def read_behaviour(values: Mapping[str, Any], base: Behaviour, chance: Random) -> Behaviour:
    """`base` with what is given changed; null takes a limit away, an empty text a script or the failures."""
    changed: dict[str, Any] = {}
    for name, value in values.items():
        if name in _TEXTS:
            changed |= _read_text(name, value, chance)
        elif name in _NUMBERS:
            changed[name] = _read_number(name, value)
        else:
            raise SimulationInvalidError(f"{name!r} is no key of a behaviour; there are {', '.join(_TEXTS + _NUMBERS)}.")
    if "script" in changed and "seconds" not in changed:
        changed["seconds"] = 0.0
    return replace(base, **changed)


def _read_text(name: str, value: Any, chance: Random) -> dict[str, Any]:
    if not isinstance(value, str):
        raise SimulationInvalidError(f"{name} must be a text.")
    if name == "latency":
        return {"latency": read_latency(value, chance)}
    if name == "fail":
        return {"failures": tuple(read_failures(value))}
    return {"script": read_script(value) if value.strip() else None}


def _read_number(name: str, value: Any) -> float | int | None:
    is_limit = name in _LIMITS
    if value is None and is_limit:
        return None
    is_number = isinstance(value, int if is_limit else int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value < math.inf or (name == "drift_per_minute" and value > _MOST_DRIFT):
        raise SimulationInvalidError(f"{name} must be a {'whole ' if is_limit else ''}number that makes sense.")
    return int(value) if is_limit else float(value)
