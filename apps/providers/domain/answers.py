"""What an adapter hands up: the wire's answer as it came, and how it was read."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from apps.lib.redaction import is_real_key, redact
from apps.providers.domain.clear_key import clear_answer
from apps.providers.domain.outcomes import Outcome
from apps.spend.domain.usage import TokenUsage


class WireFailure(StrEnum):
    """How far a request came that brought no whole answer."""

    NOT_SENT = "not_sent"
    # We lack descriptors, ports or memory for a connection: nothing to do with who was to be asked.
    OURS = "no_connection_of_ours"
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
    """What came back over HTTP; `failure` when it is not a whole answer (`status` is None when not even a status line came).

    `is_events`: the body is what came of a stream that broke off.
    """

    sent_at: datetime
    duration_seconds: float
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    first_byte_seconds: float | None = None
    failure: WireFailure | None = None
    error: str = ""
    is_events: bool = False

    def without(self, secret: str) -> "WireAnswer":
        """The same answer without our key, in whatever form it stands there."""
        if not is_real_key(secret):
            return self
        body = clear_answer(self.body, secret, is_events=self.is_events, is_cut=self.failure is not None)
        told = "\n".join((self.error, *self.headers.values()))
        # Nearly always both are as they were: one look at each.
        if body is self.body and redact(told, secret) is told:
            return self
        headers = {name: redact(value, secret) for name, value in self.headers.items()}
        return replace(self, body=body, error=redact(self.error, secret), headers=headers)


@dataclass(frozen=True, slots=True)
class Reading:
    """How an adapter reads an answer; `translated` is the answer in OpenAI's shape, when the provider's own is another.

    `shape` is the member in which the answer stands (choices, data, output): it tells which endpoint answers so. `is_excessive`:
    the usage is far beyond what we estimate.
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
    is_excessive: bool = False
