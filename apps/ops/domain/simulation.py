"""How the simulated provider behaves: latency distributions, shares of failures, and scripts written into a prompt."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from hashlib import blake2b
from random import Random
from urllib.parse import unquote

_SCRIPT = re.compile(rb"\[\[sim ([^\]]{1,1000})\]\]")
_NO_TOOLS = re.compile(rb'"tool_choice":\s*(?:"none"|\{"type":\s*"none"\})')
_ANSWERED = re.compile(rb'"role":\s*"assistant"')
# The 99th percentile of the standard normal distribution.
_Z99 = 2.3263478740408408
STATUSES = range(200, 600)
FAILURES = ("hang", "cut", "malformed", "drip", "reset", "reset_body", "empty", "gzip_bomb")
# Words of a script that take one of these.
_CHOICES = {
    "retry_after_form": ("seconds", "ms", "date", "none", "garbage", "negative", "huge"),
    "usage": ("true", "zero", "negative", "huge", "text", "missing"),
}


class SimulationInvalidError(ValueError):
    """An option or a script that can't be read."""


@dataclass(frozen=True, slots=True)
class Script:
    """What one prompt asks for. With `times`, only its first calls behave so; `delay` (seconds) None: the server's latency.

    `say` is the text of the answer (percent-encoded in a script), `repair` that to a request which goes on after an answer; `refuse`
    declines in place of an answer. `reset` breaks the connection in place of one, `reset_body` in the middle; `cut` ends it there
    without a reset. A streamed answer comes in so many `pieces`, `gap` seconds apart. `tool` names the tools (with commas between) that the
    first `rounds` answers to a conversation call in place of a text, each with these `arguments`; `beside` is what they say besides.
    `varied` puts a name of the request behind the text: the same request is answered alike, another one otherwise.
    """

    status: int = 200
    times: int = 0
    delay: float | None = None
    retry_after: float | None = None
    tokens: int = 30
    hang: bool = False
    cut: bool = False
    malformed: bool = False
    drip: bool = False
    reset: bool = False
    reset_body: bool = False
    empty: bool = False
    gzip_bomb: bool = False
    body_kilobytes: int = 0
    retry_after_form: str = "seconds"
    usage: str = "true"
    say: str = ""
    repair: str = ""
    refuse: bool = False
    pieces: int = 8
    gap: float = 0.0
    tool: str = ""
    arguments: str = "{}"
    rounds: int = 1
    beside: str = ""
    varied: bool = False

    def said_to(self, body: bytes) -> "Script":
        """With what it says to this request: `repair` where it goes on after an answer."""
        if self.tool and (self.turn_of(body) >= self.rounds or _NO_TOOLS.search(body)):
            return replace(self, tool="").said_to(body)
        say = self.repair if self.repair and _ANSWERED.search(body) else self.say
        if self.varied:
            say = f"{say or 'Simulated'} {blake2b(body, digest_size=8).hexdigest()}"
        return self if say == self.say else replace(self, say=say)

    def turn_of(self, body: bytes) -> int:
        """How many answers stand in the request."""
        return len(_ANSWERED.findall(body)) if self.tool else 0


_KINDS = {field.name: field.type for field in fields(Script)}


def find_script(body: bytes) -> Script | None:
    """The script in a request's text: `[[sim status=500 times=2 delay=0.2 hang]]`; None when there is none."""
    found = _SCRIPT.search(body)
    return None if found is None else read_script(found[1].decode("ascii", "replace"))


def read_script(text: str) -> Script:
    """The words of a script: `status=429 retry_after=3 retry_after_form=date`."""
    values = dict(_read_word(word) for word in text.split())
    return Script(**values)  # type: ignore[arg-type]  # read by the fields' own types


def _read_word(word: str) -> tuple[str, object]:
    name, sign, text = word.partition("=")
    if name not in _KINDS:
        raise SimulationInvalidError(f"{name!r} is no word of a script; there are {', '.join(_KINDS)}.")
    if name in _CHOICES:
        if text not in _CHOICES[name]:
            raise SimulationInvalidError(f"{name} in a script must be one of {', '.join(_CHOICES[name])}.")
        return name, text
    if _KINDS[name] is str:
        return name, unquote(text)
    if _KINDS[name] is bool:
        if sign:
            raise SimulationInvalidError(f"{name} takes no value in a script.")
        return name, True
    try:
        value = int(text) if _KINDS[name] is int else float(text)
    except ValueError:
        value = -1
    if not 0 <= value < math.inf or (name == "status" and value not in STATUSES):
        raise SimulationInvalidError(f"{word!r} in a script needs a number that makes sense, as in status=500, times=2 or delay=0.2.")
    return name, value


def read_latency(text: str, chance: Random) -> Callable[[], float]:
    """Seconds to think, drawn anew each time: `fixed:50`, `uniform:20:80`, `lognormal:3000:30000` (median and 99th percentile), in ms."""
    kind, *numbers = text.split(":")
    try:
        values = [float(number) / 1000 for number in numbers]
    except ValueError:
        values = []
    if not all(0 <= value < math.inf for value in values):
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
    shares = [_read_share(part) for part in filter(None, text.split(","))]
    if sum(share for _, share in shares) > 1:
        raise SimulationInvalidError("The shares of failures add up to more than 1.")
    return shares


def _read_share(part: str) -> tuple[Script, float]:
    name, _, text = part.partition(":")
    try:
        share = float(text)
        status = 200 if name in FAILURES else int(name)
    except ValueError:
        share = status = -1
    if not 0 <= share <= 1 or status not in STATUSES:
        raise SimulationInvalidError(f"{part!r} is no share of failures; write 429:0.05 or hang:0.001.")
    if name in FAILURES:
        return read_script(name), share
    return Script(status=status, retry_after=1.0 if status == 429 else None), share
