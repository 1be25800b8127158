"""Status lines and headers: rate limits and waits in every form in which providers say them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache
from math import ceil

_HUGE_SECONDS = 10**12


@dataclass(frozen=True, slots=True)
class Room:
    """What is left of the limits per minute (None: there is no such limit), and the seconds until more is."""

    requests_limit: int | None = None
    requests_left: int = 0
    tokens_limit: int | None = None
    tokens_left: int = 0
    seconds: float = 0.0


@lru_cache(maxsize=512)
def head(status: int, length: int, *, is_throttled: bool | None = None) -> bytes:
    """A status line and headers, without the empty line; plenty is left, unless the status is 429."""
    throttled = status == 429 if is_throttled is None else is_throttled
    lines = [
        f"HTTP/1.1 {status} Simulated",
        "Content-Type: application/json",
        f"Content-Length: {length}",
        "x-request-id: req_simulated",
    ]
    if is_throttled is None:
        lines += [
            "x-ratelimit-limit-requests: 100000",
            f"x-ratelimit-remaining-requests: {0 if throttled else 99999}",
            f"x-ratelimit-reset-requests: {'1s' if throttled else '1ms'}",
        ]
    if 300 <= status < 400:
        lines.append("Location: /v1/elsewhere")
    return "\r\n".join(lines).encode() + b"\r\n"


def retry_after(seconds: float, form: str) -> list[str]:
    """The headers that say how long to wait."""
    if form == "date":
        return [f"Retry-After: {format_datetime(datetime.now(UTC) + timedelta(seconds=ceil(seconds)), usegmt=True)}"]
    return {
        "seconds": [f"Retry-After: {seconds:g}"],
        "ms": [f"retry-after-ms: {seconds * 1000:g}"],
        "garbage": ["Retry-After: soon, I hope"],
        "negative": ["Retry-After: -5"],
        "huge": [f"Retry-After: {_HUGE_SECONDS}"],
    }.get(form, [])


def limits(room: Room, *, is_anthropic: bool) -> list[str]:
    """The limits as the one or the other shows them."""
    lines = []
    for name, limit, left in (("requests", room.requests_limit, room.requests_left), ("tokens", room.tokens_limit, room.tokens_left)):
        if limit is None:
            continue
        if is_anthropic:
            moment = (datetime.now(UTC) + timedelta(seconds=room.seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
            words = f"anthropic-ratelimit-{name}"
            lines += [f"{words}-limit: {limit}", f"{words}-remaining: {left}", f"{words}-reset: {moment}"]
        else:
            lines += [
                f"x-ratelimit-limit-{name}: {limit}",
                f"x-ratelimit-remaining-{name}: {left}",
                f"x-ratelimit-reset-{name}: {room.seconds:.3f}s",
            ]
    return lines
