"""How the simulated provider behaves: latency distributions, shares of failures, and scripts written into a prompt."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from random import Random

_SCRIPT = re.compile(rb"\[\[sim ([^\]]{1,200})\]\]")
# The 99th percentile of the standard normal distribution.
_Z99 = 2.3263478740408408
FAILURES = ("hang", "cut", "malformed", "drip")


class SimulationInvalidError(ValueError):
    """An option or a script that can't be read."""


@dataclass(frozen=True, slots=True)
class Script:
    """What one prompt asks for. With `times`, only its first calls behave so."""

    status: int = 200
    times: int = 0
    delay: float = 0.0
    retry_after: float | None = None
    tokens: int = 30
    hang: bool = False
    cut: bool = False
    malformed: bool = False
    drip: bool = False
    body_kilobytes: int = 0


_KINDS = {field.name: field.type for field in fields(Script)}


def find_script(body: bytes) -> Script | None:
    """The script in a request's text: `[[sim status=500 times=2 delay=0.2 hang]]`; None when there is none."""
    found = _SCRIPT.search(body)
    if found is None:
        return None
    values: dict[str, object] = {}
    for word in found[1].decode("ascii", "replace").split():
        name, _, value = word.partition("=")
        if name not in _KINDS:
            raise SimulationInvalidError(f"{name!r} is no word of a script; there are {', '.join(_KINDS)}.")
        values[name] = _read(str(_KINDS[name]), value)
    return Script(**values)  # type: ignore[arg-type]  # read by the fields' own types


def _read(kind: str, value: str) -> object:
    if "bool" in kind:
        return True
    return int(value) if "int" in kind else float(value)


def read_latency(text: str, chance: Random) -> Callable[[], float]:
    """Seconds to think, drawn anew each time: `fixed:50`, `uniform:20:80`, `lognormal:3000:30000` (median and 99th percentile), in ms."""
    kind, *numbers = text.split(":")
    try:
        values = [float(number) / 1000 for number in numbers]
    except ValueError:
        values = []
    if kind == "fixed" and len(values) == 1:
        return lambda: values[0]
    if kind == "uniform" and len(values) == 2:
        return lambda: chance.uniform(*values)
    if kind == "lognormal" and len(values) == 2 and 0 < values[0] < values[1]:
        mean, spread = math.log(values[0]), math.log(values[1] / values[0]) / _Z99
        return lambda: chance.lognormvariate(mean, spread)
    raise SimulationInvalidError(f"{text!r} is no latency; write fixed:MS, uniform:MS:MS or lognormal:MEDIAN_MS:P99_MS.")


def read_failures(text: str) -> list[tuple[Script, float]]:
    """Shares of calls that fail: `429:0.05,500:0.01,hang:0.001`, as scripts with their probabilities."""
    shares = []
    for part in filter(None, text.split(",")):
        name, _, share = part.partition(":")
        try:
            script = Script(**{name: True}) if name in FAILURES else Script(status=int(name))
            shares.append((script, float(share)))
        except ValueError as error:
            raise SimulationInvalidError(f"{part!r} is no share of failures; write 429:0.05 or hang:0.001.") from error
    if sum(share for _, share in shares) > 1:
        raise SimulationInvalidError("The shares of failures add up to more than 1.")
    return shares
