"""What all connections share: how to behave towards whom, what was taken of the limits, and what has been seen."""

import json
import time
from random import Random
from typing import Any
from urllib.parse import parse_qs

from apps.ops.domain.behaviour import Behaviour, read_behaviour
from apps.ops.domain.simulation import Script, SimulationInvalidError, find_script
from apps.ops.domain.sliding_minute import SlidingMinute
from apps.ops.simulator.answers import PROMPT_TOKENS
from apps.ops.simulator.heads import Room
from apps.ops.simulator.tally import Tally

_PLAIN = Script()
_SHOWN_PROMPTS = 10


class Lane:
    """One API key's behaviour and its last minute; or that of everybody without one of their own."""

    def __init__(self, behaviour: Behaviour, minute: SlidingMinute) -> None:
        self.behaviour = behaviour
        self.minute = minute
        self.set_at = time.monotonic()
        self.most = behaviour.most()
        self.is_limited = any(limit is not None for limit in self.most)

    def choose(self, body: bytes, chance: Random) -> Script:
        """The prompt's own script, else the key's, else by the shares of failures, else an ordinary answer."""
        if b"[[sim " in body and (script := find_script(body)):
            return script
        if script := self.behaviour.script_at(self._age()):
            return script
        if self.behaviour.failures:
            drawn = chance.random()
            for script, share in self.behaviour.failures:
                drawn -= share
                if drawn < 0:
                    return script
        return _PLAIN

    def latency(self) -> float:
        return self.behaviour.latency_at(self._age())

    def take(self, tokens: int) -> float:
        """Seconds until there is room for such a call; 0.0 when there was, and it is taken."""
        if not self.is_limited:
            return 0.0
        return self.minute.take(now=time.monotonic(), input_tokens=PROMPT_TOKENS, output_tokens=tokens, most=self.most)

    def room(self, wait: float) -> Room:
        return Room(self.most, self.minute.used(time.monotonic()), wait)

    def capacity(self) -> dict[str, Any]:
        """What the last minute used of the limits."""
        used = self.minute.used(time.monotonic())._asdict()
        return used | {f"{kind}_per_minute": limit for kind, limit in self.most._asdict().items()}

    def _age(self) -> float:
        return time.monotonic() - self.set_at


class Simulator:
    """The lanes by API key ("" is for everybody else), and the tally."""

    def __init__(self, behaviour: Behaviour, *, chance: Random) -> None:
        self.chance = chance
        self.lanes = {"": Lane(behaviour, SlidingMinute())}
        self.tally = Tally()

    def lane(self, api_key: str) -> Lane:
        return self.lanes.get(api_key) or self.lanes[""]

    def show(self, method: str, path: str, query: str, body: bytes) -> bytes | None:
        """What `/sim/...` answers; None when there is no such page. SimulationInvalidError for a script that can't be read."""
        if method == "get":
            shown = self._told(path, parse_qs(query))
            return None if shown is None else json.dumps(shown).encode()
        if (method, path) == ("post", "/sim/reset"):
            self.tally.reset()
            return b"{}"
        if (method, path) == ("post", "/sim/script"):
            self._change(body)
            return b"{}"
        return None

    def _told(self, path: str, query: dict[str, list[str]]) -> dict[str, Any] | None:
        if path == "/sim/stats":
            capacity = {key[-4:]: lane.capacity() for key, lane in self.lanes.items() if lane.is_limited}
            return self.tally.stats() | {"last_minute": capacity}
        if path == "/sim/calls":
            top = query.get("top", [""])[0]
            return self.tally.calls(top=int(top) if top.isdecimal() else _SHOWN_PROMPTS)
        if path == "/sim/usage":
            told = {"request": self.tally.usage_by_request, "call": self.tally.usage_by_call}
            return told.get(query.get("by", [""])[0], self.tally.usage)()
        return self.tally.answers() if path == "/sim/answers" else None

    def _change(self, body: bytes) -> None:
        """The minute goes on counting: a limit that is lowered holds at once."""
        try:
            values = json.loads(body)
        except ValueError:
            values = None
        if not isinstance(values, dict) or not isinstance(values.get("api_key", ""), str):
            raise SimulationInvalidError(
                'Send a JSON object, as in {"script": "status=503", "seconds": 60}; "api_key" limits it to one key.'
            )
        # Heads are read in lower case, and the key stands in one.
        api_key = values.pop("api_key", "").lower()
        old = self.lanes.get(api_key)
        behaviour = read_behaviour(values, self.lane(api_key).behaviour, self.chance)
        self.lanes[api_key] = Lane(behaviour, old.minute if old else SlidingMinute())
