"""What we ask a provider, where it goes, and what comes back."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import IntEnum
from uuid import UUID

from apps.providers.domain.limits import NO_LIMITS, BucketLimits
from apps.providers.domain.outcomes import Outcome
from apps.spend.domain.usage import TokenUsage


@dataclass(frozen=True, slots=True)
class Call:
    """One question: `body` is the caller's JSON as bytes, `endpoint` its path (`/v1/chat/completions`).

    `must_be_bounded`: money was set aside for an answer of the model's usual bound, and the body names none. `is_streamed`: somebody reads
    the answer as it comes, and its usage at the end if `is_usage_told`.
    """

    run_id: UUID
    model_id: UUID
    endpoint: str
    body: bytes
    must_be_bounded: bool = False
    is_streamed: bool = False
    is_usage_told: bool = False


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
    """One HTTP request to a provider and its answer. `answer` is the provider's own body, cut at the byte limit.

    `max_output_tokens`: how long an answer was reckoned with, had the request not said how long it may be.
    """

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
    max_output_tokens: int = 4096


class Stage(IntEnum):
    """Where the next run of an item begins: what has been paid for is not asked again."""

    START = 0
    MODEL = 1  # the answer of the model that is asked first was not accepted
    REPAIR = 2  # the answer broke its contract and is to be repaired
    TOOLS = 3  # the answer asks for tools: these are run, and the model is asked again


@dataclass(frozen=True, slots=True)
class PaidCall:
    """One good answer of a provider, whether it was used or not."""

    model_id: UUID
    provider_id: UUID
    upstream_model: str
    sent_at: datetime
    usage: TokenUsage
    raw_usage: dict[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer that was given before: where it stands, what it had cost, and the run that asked for it, if that is still known."""

    answer_body_id: bytes
    status_code: int
    cost_usd: Decimal
    run_id: UUID | None


@dataclass(frozen=True, slots=True)
class Course:
    """What a policy made of a call. `paid`: its good answers in order; `draft`: the one that is to be repaired.

    `is_accepted`: what became of the model that is asked first (None: it was not asked), `first` its good answer, `instead` who would
    have been asked without it, as provider and model. `kept`: the cache's answer; `spared`: the calls in the air whose answer is shared.
    `goes_on`: it is a good answer, and not the last one: the item's next run goes on from `draft` at once.
    """

    paid: tuple[PaidCall, ...] = ()
    answered_by: str = ""
    stage: Stage = Stage.START
    next_model_id: UUID | None = None
    draft: bytes = b""
    is_accepted: bool | None = None
    first: PaidCall | None = None
    instead: tuple[UUID, str] | None = None
    kept: Kept | None = None
    spared: tuple[PaidCall, ...] = ()
    shared_run_id: UUID | None = None
    goes_on: bool = False


@dataclass(frozen=True, slots=True)
class Completion:
    """What a call came to, after all its exchanges (the last one decided). `answer` is what the caller gets: OpenAI's shape.

    `is_probe`: it was sent to a target known to be in trouble, to see whether it is over; `is_ours`: it was not sent for want of something
    of our own; `is_overstated`: the usage is far beyond what we estimate. `course` is None for a plain call.
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
    is_ours: bool = False
    is_overstated: bool = False
    course: Course | None = None


def good_calls(completion: Completion, model_id: UUID) -> tuple[PaidCall, ...]:
    """The good answers behind a completion; `model_id`: who was asked in a plain call."""
    if completion.course is not None:
        return completion.course.paid
    if completion.outcome is not Outcome.OK or not completion.exchanges:
        return ()
    exchange = completion.exchanges[-1]
    usage = completion.usage or TokenUsage()
    return (PaidCall(model_id, exchange.provider_id, exchange.upstream_model, exchange.sent_at, usage, completion.raw_usage),)
