"""Anthropic's streamed messages: told on as chunks of a chat completion, and put together as the message they are."""

from typing import Any

from apps.providers.adapters.anthropic_answer import finish_reason, read_usage, write_usage
from apps.providers.adapters.reading import error_of, parse
from apps.providers.domain.chat_stream import StreamBrokenError, written

_MOST_BLOCKS = 4096
# Which member of a block each kind of delta adds to.
_GROWS = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}


class MessageStream:
    """One streamed answer. `created`: seconds since 1970, which Anthropic doesn't say."""

    def __init__(self, *, has_usage: bool, created: int) -> None:
        self._has_usage = has_usage
        self._created = created
        self._message: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._inputs: dict[int, list[str]] = {}
        self._is_over = False

    def feed(self, data: bytes) -> list[bytes]:
        """What the caller gets for an event; StreamBrokenError for one that makes no sense, or tells of an error."""
        event = parse(data)
        kind = event.get("type") if isinstance(event, dict) else None
        match kind:
            case "message_start" if isinstance(event.get("message"), dict):
                self._message = event["message"] | {"content": []}
                return self._told({"role": "assistant", "content": ""})
            case "content_block_start" if isinstance(event.get("content_block"), dict):
                return self._begin(_index(event), event["content_block"])
            case "content_block_delta" if isinstance(event.get("delta"), dict):
                return self._grow(_index(event), event["delta"])
            case "message_delta":
                self._take_end(event)
                return []
            case "message_stop":
                self._is_over = True
                return self._told_end()
            case "error":
                code, name, message = error_of(event)
                raise StreamBrokenError(f"The provider broke off: {message or code or name or 'it does not say why'}")
            case str():
                # Pings, ends of blocks, and what may come one day: nothing of the answer.
                return []
            case _:
                raise StreamBrokenError("A piece of the streamed answer is no event.")

    def _begin(self, index: int, block: dict[str, Any]) -> list[bytes]:
        self._blocks[index] = dict(block)
        if block.get("type") != "tool_use":
            return []
        self._inputs[index] = []
        name, call_id = block.get("name"), block.get("id")
        call = {"index": self._place(index), "id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}
        return self._told({"tool_calls": [call]})

    def _grow(self, index: int, delta: dict[str, Any]) -> list[bytes]:
        block = self._blocks.get(index)
        if block is None:
            raise StreamBrokenError("A block of the streamed answer goes on that has not begun.")
        kind = str(delta.get("type"))
        if kind == "input_json_delta" and index in self._inputs:
            piece = _text(delta, "partial_json")
            self._inputs[index].append(piece)
            return self._told({"tool_calls": [{"index": self._place(index), "function": {"arguments": piece}}]})
        if name := _GROWS.get(kind):
            piece = _text(delta, name)
            block[name] = str(block.get(name) or "") + piece
            return self._told({"content": piece}) if kind == "text_delta" else []
        return []

    def _place(self, index: int) -> int:
        """Which of the tool calls a block is."""
        return sorted(self._inputs).index(index)

    def _take_end(self, event: dict[str, Any]) -> None:
        delta, usage = event.get("delta"), event.get("usage")
        if isinstance(delta, dict):
            self._message |= {name: delta[name] for name in ("stop_reason", "stop_sequence") if name in delta}
        if isinstance(usage, dict):
            began = self._message.get("usage")
            self._message["usage"] = (began if isinstance(began, dict) else {}) | {
                name: value for name, value in usage.items() if value is not None
            }

    def _told(self, delta: dict[str, Any], *, reason: str | None = None) -> list[bytes]:
        chunk = self._head() | {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]}
        return [written(chunk)]

    def _told_end(self) -> list[bytes]:
        told = self._told({}, reason=finish_reason(self._message))
        usage = read_usage(self._message.get("usage"))
        if self._has_usage and usage is not None:
            told.append(written(self._head() | {"choices": [], "usage": write_usage(usage)}))
        return told

    def _head(self) -> dict[str, Any]:
        head = {"id": self._message.get("id"), "object": "chat.completion.chunk", "created": self._created}
        return head | {"model": self._message.get("model")}

    def whole(self) -> bytes | None:
        """The message as it would have come in one piece; None while it isn't whole."""
        if not self._is_over or not self._message.get("stop_reason"):
            return None
        blocks = [self._finished(index, block) for index, block in sorted(self._blocks.items())]
        return None if None in blocks else written(self._message | {"content": blocks})

    def _finished(self, index: int, block: dict[str, Any]) -> dict[str, Any] | None:
        """None for a tool's input that is no JSON."""
        if index not in self._inputs:
            return block
        written = "".join(self._inputs[index])
        if not written:
            return block
        found = parse(written.encode())
        return block | {"input": found} if isinstance(found, dict) else None


def _index(event: dict[str, Any]) -> int:
    index = event.get("index")
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < _MOST_BLOCKS:
        raise StreamBrokenError("A block of the streamed answer has no index.")
    return index


def _text(delta: dict[str, Any], name: str) -> str:
    value = delta.get(name)
    if not isinstance(value, str):
        raise StreamBrokenError("A piece of the streamed answer holds no text.")
    return value
