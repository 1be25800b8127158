"""Status lines and headers: rate limits and waits in every form in which providers say them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache
from math import ceil

from apps.ops.domain.sliding_minute import Most, Used

_HUGE_SECONDS = 10**12


@dataclass(frozen=True, slots=True)
class Room:
    """The limits per minute, what is used of them, and the seconds until more is free."""

    most: Most
    used: Used
    seconds: float = 0.0

    def kinds(self) -> Iterator[tuple[str, int, int]]:
        """(what, its limit, what is left of it) of each limit that there is."""
        for kind, limit, used in zip(self.most._fields, self.most, self.used, strict=True):
            if limit is not None:
                yield kind.replace("_", "-"), limit, max(limit - used, 0)


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
    """The limits as the one or the other shows them; OpenAI has no headers for input and output apart."""
    lines = []
    for name, limit, left in room.kinds():
        if is_anthropic:
            moment = (datetime.now(UTC) + timedelta(seconds=room.seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
            words = f"anthropic-ratelimit-{name}"
            lines += [f"{words}-limit: {limit}", f"{words}-remaining: {left}", f"{words}-reset: {moment}"]
        elif name in {"requests", "tokens"}:
            lines += [
                f"x-ratelimit-limit-{name}: {limit}",
                f"x-ratelimit-remaining-{name}: {left}",
                f"x-ratelimit-reset-{name}: {room.seconds:.3f}s",
            ]
    return lines
