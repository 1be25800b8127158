"""What we ask a provider, where it goes, and what comes back."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from apps.providers.domain.limits import NO_LIMITS, BucketLimits
from apps.providers.domain.outcomes import Outcome
from apps.spend.domain.usage import TokenUsage


@dataclass(frozen=True, slots=True)
class Call:
    """One question: `body` is the caller's JSON as bytes, `endpoint` its path (`/v1/chat/completions`)."""

    run_id: UUID
    model_id: UUID
    endpoint: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Route:
    """One target, ready to be called; the key is in clear, so it never leaves the process (nor its repr)."""

    target_id: UUID
    provider_id: UUID
    provider_name: str
    kind: str
    base_url: str
    upstream_model: str
    connect_timeout_seconds: float
    read_timeout_seconds: float
    total_timeout_seconds: float
    max_output_tokens: int = 4096
    provider_limits: BucketLimits = NO_LIMITS
    target_limits: BucketLimits = NO_LIMITS
    api_key: str = field(repr=False, default="")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One HTTP request to a provider and its answer. `answer` is the provider's own body, cut at the byte limit."""

    target_id: UUID
    provider_id: UUID
    upstream_model: str
    path: str
    outcome: Outcome
    sent_at: datetime
    duration_seconds: float
    status_code: int | None = None
    first_byte_seconds: float | None = None
    provider_request_id: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    answer: bytes = b""
    error: str = ""
    retry_after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """What a call came to, after all its exchanges (the last one decided). `answer` is what the caller gets: OpenAI's shape.

    `is_probe`: it was sent to a target known to be in trouble, to see whether it is over.
    """

    outcome: Outcome
    exchanges: tuple[Exchange, ...] = ()
    answer: bytes = b""
    status_code: int | None = None
    usage: TokenUsage | None = None
    raw_usage: dict[str, object] | None = None
    error_code: str = ""
    error_message: str = ""
    retry_after_seconds: float | None = None
    is_probe: bool = False
