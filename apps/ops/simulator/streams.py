"""Answers in pieces, as OpenAI and Anthropic stream them."""

import json
import re
from typing import Any

from apps.ops.simulator.answers import MESSAGES

_WANTED = re.compile(rb'"stream":\s*true')
_USAGE_WANTED = re.compile(rb'"include_usage":\s*true')
_STREAMED = ("/chat/completions", MESSAGES)
END = b"0\r\n\r\n"


def is_wanted(path: str, request: bytes) -> bool:
    return path.endswith(_STREAMED) and _WANTED.search(request) is not None


def head() -> bytes:
    """The status line and headers, without the empty line; what follows is chunked."""
    lines = ("HTTP/1.1 200 Simulated", "Content-Type: text/event-stream", "Transfer-Encoding: chunked", "x-request-id: req_simulated")
    return "\r\n".join(lines).encode() + b"\r\n"


def chunked(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def pieces_of(path: str, whole: bytes, request: bytes, *, number: int) -> list[bytes]:
    """The events of a good answer, its text in `number` pieces."""
    answer = json.loads(whole)
    return _messages(answer, number) if path.endswith(MESSAGES) else _chat(answer, number, has_usage=bool(_USAGE_WANTED.search(request)))


def _chat(answer: dict[str, Any], number: int, *, has_usage: bool) -> list[bytes]:
    head = {"id": answer["id"], "object": "chat.completion.chunk", "created": answer["created"], "model": answer["model"]}
    chunks: list[dict[str, Any]] = []
    for choice in answer["choices"]:
        message = choice["message"]
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": "", "refusal": None}]
        deltas += [{"content": piece} for piece in _cut(message["content"] or "", number)]
        deltas += [{"tool_calls": [{"index": place, **call}]} for place, call in enumerate(message.get("tool_calls", ()))]
        deltas += [{"refusal": message["refusal"]}] if message.get("refusal") else []
        chunks += [{"choices": [{"index": choice["index"], "delta": delta, "logprobs": None, "finish_reason": None}]} for delta in deltas]
        chunks.append({"choices": [{"index": choice["index"], "delta": {}, "logprobs": None, "finish_reason": choice["finish_reason"]}]})
    if has_usage and "usage" in answer:
        chunks.append({"choices": [], "usage": answer["usage"]})
    return [_event(head | chunk) for chunk in chunks] + [b"data: [DONE]\n\n"]


def _messages(answer: dict[str, Any], number: int) -> list[bytes]:
    usage = answer.get("usage")
    begin = answer | {"content": [], "stop_reason": None} | ({"usage": usage | {"output_tokens": 1}} if usage else {})
    events: list[dict[str, Any]] = [{"type": "message_start", "message": begin}, {"type": "ping"}]
    for index, block in enumerate(answer["content"]):
        if block["type"] == "tool_use":
            begun, deltas = block | {"input": {}}, [{"type": "input_json_delta", "partial_json": json.dumps(block["input"])}]
        else:
            begun, deltas = block | {"text": ""}, [{"type": "text_delta", "text": piece} for piece in _cut(block["text"], number)]
        events.append({"type": "content_block_start", "index": index, "content_block": begun})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    end: dict[str, Any] = {"type": "message_delta", "delta": {"stop_reason": answer.get("stop_reason"), "stop_sequence": None}}
    events.append(end | ({"usage": {"output_tokens": usage["output_tokens"]}} if usage else {}))
    events.append({"type": "message_stop"})
    return [f"event: {event['type']}\n".encode() + _event(event) for event in events]


def _cut(text: str, number: int) -> list[str]:
    size = max(1, -(-len(text) // max(1, number)))
    return [text[start : start + size] for start in range(0, len(text), size)]


def _event(content: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(content).encode() + b"\n\n"
