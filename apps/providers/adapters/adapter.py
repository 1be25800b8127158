"""What every adapter can do."""

from datetime import datetime
from typing import Any, Protocol

from apps.providers.domain.answers import Reading, Request, WireAnswer
from apps.providers.domain.calls import Call, Route
from apps.spend.domain.usage import TokenUsage


class AnswerStream(Protocol):
    """One answer as it comes, event by event."""

    def feed(self, data: bytes) -> list[bytes]:
        """The chunks, in OpenAI's shape, that the caller gets for an event. StreamBrokenError for what can't be one."""

    def whole(self) -> bytes | None:
        """The provider's answer as it would have come in one piece; None while it isn't whole."""


class Adapter(Protocol):
    """Translates; sends nothing itself. `is_cached_free`: input that the provider reads from its cache doesn't count against its limits."""

    is_cached_free: bool

    def read_usage(self, raw: Any) -> TokenUsage | None:
        """What the provider reported of a call, in buckets that don't overlap; None when it makes no sense."""

    def write(self, call: Call, route: Route) -> Request:
        """The call in the provider's words. ValueError, naming the field, for what can't be said in them."""

    def open_stream(self, call: Call, *, now: datetime) -> AnswerStream:
        """What reads the answer to a call that is streamed."""

    def read(self, answer: WireAnswer) -> Reading:
        """What the answer comes to. Never raises: answers are hostile input."""
