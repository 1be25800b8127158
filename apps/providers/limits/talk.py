"""What a pump tells Redis of a bucket, what Redis answers, and who waits for that."""

import asyncio
from dataclasses import dataclass, field

from apps.providers.domain.limits import NOTHING_TOLD, Size, Told

# What a pump that has never heard from Redis takes itself to be one of.
_PUMPS_UNHEARD = 16


@dataclass(slots=True)
class News:
    """What happened since Redis was told last."""

    ok: int = 0
    failed: int = 0
    undecided: int = 0
    throttled: int = 0
    retry_after_seconds: float = 0.0
    pause_seconds: float = 0.0
    input_delta: float = 0.0
    output_delta: float = 0.0
    returned: int = 0
    retry_cost: int = 0
    taken: int = 0
    # How long answers took, in milliseconds: in all, and for each token; and how many of them were late.
    took: list[tuple[float, float]] = field(default_factory=list)
    late: int = 0
    told: Told = NOTHING_TOLD

    def charge(self, size: Size) -> None:
        """Tokens used beyond what Redis has booked."""
        self.input_delta += size.input
        self.output_delta += size.output

    def refund(self, size: Size) -> None:
        self.input_delta -= size.input
        self.output_delta -= size.output


@dataclass(frozen=True, slots=True)
class Answer:
    """What Redis says: permits, and how the bucket stands. `row`: so many calls have failed since one was answered, in all pumps.

    `usual_ms`, `usual_token_ms`: how long its answers take as a rule, in all and for each token; 0 while nobody knows.
    """

    granted: int = 0
    input_each: float = 0.0
    output_each: float = 0.0
    blocked_ms: float = 0.0
    paused_ms: float = 0.0
    breaker: str = "closed"
    opened: bool = False
    epoch: int = 0
    limit: int = 0
    in_flight: int = 0
    pumps: int = _PUMPS_UNHEARD
    budget: float = 500.0
    wait_ms: float = 100.0
    rate_per_second: float = 0.0
    tokens_per_second: float = 0.0
    input_per_second: float = 0.0
    output_per_second: float = 0.0
    is_slow: bool = False
    is_reserved: bool = False
    happened: str = ""
    is_bound: bool = False
    row: int = 0
    usual_ms: float = 0.0
    usual_token_ms: float = 0.0


@dataclass(slots=True)
class Waiter:
    """Somebody who waits for a permit; the future says whether one came."""

    future: asyncio.Future[bool]
    size: Size
