"""OpenAI's streamed chat completions: chunks are handed on as they come, and put together for the record."""

from typing import Any

from apps.providers.adapters.reading import error_of, parse
from apps.providers.domain.chat_stream import ChatAssembly, StreamBrokenError, without_usage, written

_DONE = b"[DONE]"


class ChatStream:
    """One streamed answer. `has_usage`: the caller asked for the usage as well; we always do."""

    def __init__(self, *, has_usage: bool) -> None:
        self._assembly = ChatAssembly()
        self._has_usage = has_usage

    def feed(self, data: bytes) -> list[bytes]:
        """What the caller gets for an event; StreamBrokenError for one that is no chunk, or tells of an error."""
        return [] if data.strip() == _DONE else self.add(parse(data))

    def add(self, chunk: Any) -> list[bytes]:
        if not isinstance(chunk, dict):
            raise StreamBrokenError("A piece of the streamed answer is no JSON object.")
        if chunk.get("error"):
            code, kind, message = error_of(chunk)
            raise StreamBrokenError(f"The provider broke off: {message or code or kind or 'it does not say why'}")
        self._assembly.add(chunk)
        told = [chunk] if self._has_usage else without_usage([chunk])
        return [written(one) for one in told]

    def whole(self) -> bytes | None:
        """The answer as it would have come in one piece; None while it isn't whole."""
        completion = self._assembly.whole()
        return None if completion is None else written(completion)
