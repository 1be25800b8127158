"""What an adapter hands up: the wire's answer as it came, and how it was read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from apps.providers.domain.outcomes import Outcome
from apps.spend.domain.usage import TokenUsage


class WireFailure(StrEnum):
    """How far a request came that brought no whole answer."""

    NOT_SENT = "not_sent"
    CUT = "cut"
    TIMED_OUT = "timed_out"
    TOO_LONG = "too_long"


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP POST, ready to be sent; the headers hold the key, so it has no repr."""

    url: str
    body: bytes
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)


@dataclass(frozen=True, slots=True)
class WireAnswer:
    """What came back over HTTP; `failure` when it is not a whole answer (`status` is None when not even a status line came)."""

    sent_at: datetime
    duration_seconds: float
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    first_byte_seconds: float | None = None
    failure: WireFailure | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """How an adapter reads an answer; `translated` is the answer in OpenAI's shape, when the provider's own is another.

    `shape` is the member in which the answer stands (choices, data, output): it tells which endpoint answers so.
    """

    outcome: Outcome
    usage: TokenUsage | None = None
    raw_usage: dict[str, object] | None = None
    error_code: str = ""
    error_message: str = ""
    retry_after_seconds: float | None = None
    translated: bytes = b""
    note: str = ""
    shape: str = ""
