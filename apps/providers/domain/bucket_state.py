"""How a bucket stands, for people: read from what the pumps keep in Redis."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import floor

from apps.lib.loose_numbers import read_number
from apps.providers.domain.limits import BucketLimits

_BREAKERS = {"closed", "open", "half-open"}
# How many calls, and until when that holds.
_PARTS_OF_PUMP = 2
_KINDS = ("requests", "tokens", "input_tokens", "output_tokens")


@dataclass(frozen=True, slots=True)
class BucketState:
    """Times are seconds from now; None where there is nothing to say. `is_known`: some pump has used it within the hour."""

    is_known: bool = False
    breaker: str = "closed"
    opens_in_seconds: float | None = None
    slow_percent: int | None = None
    blocked_seconds: float | None = None
    paused_seconds: float | None = None
    in_flight: int = 0
    pumps: int = 0
    concurrency_limit: int | None = None
    requests_left: int | None = None
    tokens_left: int | None = None
    input_tokens_left: int | None = None
    output_tokens_left: int | None = None
    told_requests: int | None = None
    told_tokens: int | None = None
    told_input_tokens: int | None = None
    told_output_tokens: int | None = None
    retry_budget: int | None = None


@dataclass(frozen=True, slots=True)
class Room:
    """What is left of one limit per minute; it is set by the operator, told by the provider, or both."""

    kind: str
    left: int | None
    per_minute: int | None
    told: int | None

    @property
    def name(self) -> str:
        return self.kind.replace("_", " ")


def read_rooms(limits: BucketLimits, state: BucketState, *, always: Collection[str] = ()) -> list[Room]:
    """Of each limit per minute that there is, and of those `always` asked for. A field of a limit that was taken away says nothing."""
    rooms = []
    for kind in _KINDS:
        per_minute, told = getattr(limits, f"{kind}_per_minute"), getattr(state, f"told_{kind}")
        if per_minute or told or kind in always:
            rooms.append(Room(kind, getattr(state, f"{kind}_left") if per_minute or told else None, per_minute, told))
    return rooms


def most_in_flight(limits: BucketLimits, state: BucketState) -> int | None:
    """What is set holds until the pumps have found less to be right; None: nothing bounds it."""
    return min((most for most in (limits.max_concurrency, state.concurrency_limit) if most), default=None)


def read_bucket(state: Mapping[str, str], *, now_ms: float) -> BucketState:
    """From the hash that `sync.lua` keeps; `now_ms` by Redis' own clock. A field that is none of ours says nothing."""
    if not state:
        return BucketState()
    in_flight, pumps = _pumps(state, now_ms)
    breaker = state.get("breaker", "closed") if state.get("breaker") in _BREAKERS else "closed"
    slow_from = _number(state, "slow_from")
    slow = None if slow_from is None or breaker != "closed" else min(100, round(10 + 90 * (now_ms - slow_from) / 20_000))
    return BucketState(
        is_known=True,
        breaker="slow start" if slow is not None and slow < 100 else breaker,
        opens_in_seconds=_until(state, "open_until", now_ms) if breaker == "open" else None,
        slow_percent=slow if slow is not None and slow < 100 else None,
        blocked_seconds=_until(state, "blocked", now_ms),
        paused_seconds=_until(state, "paused", now_ms),
        in_flight=in_flight,
        pumps=pumps,
        concurrency_limit=_whole(state, "limit"),
        requests_left=_left(state, "requests"),
        tokens_left=_left(state, "tokens"),
        input_tokens_left=_left(state, "input_tokens"),
        output_tokens_left=_left(state, "output_tokens"),
        told_requests=_whole(state, "told_requests"),
        told_tokens=_whole(state, "told_tokens"),
        told_input_tokens=_whole(state, "told_input_tokens"),
        told_output_tokens=_whole(state, "told_output_tokens"),
        retry_budget=_left(state, "budget"),
    )


def _pumps(state: Mapping[str, str], now_ms: float) -> tuple[int, int]:
    """(calls in the air, pumps): a pump that fell silent does not count."""
    held = [value.split(",") for name, value in state.items() if name.startswith("pump:")]
    told = [[read_number(part) for part in parts] for parts in held if len(parts) == _PARTS_OF_PUMP]
    live = [floor(count) for count, until in told if count is not None and until is not None and count >= 0 and until > now_ms]
    return sum(live), len(live)


def _number(state: Mapping[str, str], name: str) -> float | None:
    text = state.get(name)
    return read_number(text) if text else None


def _whole(state: Mapping[str, str], name: str) -> int | None:
    """A limit or a count; 0 means that nothing was said."""
    number = _number(state, name)
    return floor(number) if number else None


def _left(state: Mapping[str, str], name: str) -> int | None:
    number = _number(state, name)
    return None if number is None else max(0, floor(number))


def _until(state: Mapping[str, str], name: str, now_ms: float) -> float | None:
    at = _number(state, name)
    return (at - now_ms) / 1000 if at is not None and at > now_ms else None
