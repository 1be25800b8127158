"""What happened to a provider or a target: its breaker opened, it blocked us, somebody paused it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

# What can happen, and how people are told.
WHATS = {
    "open": "breaker opened",
    "half-open": "breaker tries again",
    "closed": "breaker closed",
    "blocked": "throttled: all wait",
    "refused": "credential or model refused",
    "slow": "answers slowly: fewer calls at once",
    "overstated": "reports use far beyond our estimate",
    "paused": "paused",
    "resumed": "resumed",
}


@dataclass(frozen=True, slots=True)
class Transition:
    """`target_id` is None when it concerns the whole provider; `seconds` is how long it holds, where that is known."""

    provider_id: UUID | None
    target_id: UUID | None
    what: str
    at: datetime
    seconds: float | None = None
    note: str = ""
