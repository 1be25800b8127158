"""Answers in OpenAI's shapes, made once and sent many times."""

import base64
import json
import struct
from functools import lru_cache

PROMPT_TOKENS = 20
CALLS = ("/chat/completions", "/responses", "/completions", "/embeddings")
_TEXT = "The simulated provider has thought about it and answers this. "
_VECTOR = [0.125, -0.25, 0.5, 0.0, 1.0, -1.0, 0.75, -0.5]


@lru_cache(maxsize=256)
def success(path: str, tokens: int, extra_bytes: int) -> bytes:
    """A good answer for a path that ends as one of CALLS, using 20 tokens of input and `tokens` of output."""
    text = _TEXT + "x" * extra_bytes
    if path.endswith("/responses"):
        return _response(text, tokens)
    choice: dict[str, object] = {"index": 0, "finish_reason": "stop", "logprobs": None}
    if path.endswith("/chat/completions"):
        choice["message"] = {"role": "assistant", "content": text, "refusal": None}
        head = {"id": "chatcmpl-simulated", "object": "chat.completion", "created": 1, "model": "simulated"}
    else:
        choice["text"] = text
        head = {"id": "cmpl-simulated", "object": "text_completion", "created": 1, "model": "simulated"}
    usage = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": tokens, "total_tokens": PROMPT_TOKENS + tokens}
    return _json(head | {"choices": [choice], "usage": usage})


def embeddings(request: bytes) -> bytes:
    """One vector for each input, in the form the request asks for; each input uses 20 tokens."""
    try:
        asked = json.loads(request)
        inputs = asked["input"]
        is_base64 = asked.get("encoding_format") == "base64"
    except (ValueError, TypeError, KeyError):
        inputs, is_base64 = "", False
    # A list of numbers is one input in tokens.
    is_many = isinstance(inputs, list) and bool(inputs) and not isinstance(inputs[0], int)
    return _embeddings(len(inputs) if is_many else 1, is_base64=is_base64)


@lru_cache(maxsize=64)
def _embeddings(count: int, *, is_base64: bool) -> bytes:
    vector = base64.b64encode(struct.pack(f"<{len(_VECTOR)}f", *_VECTOR)).decode() if is_base64 else _VECTOR
    data = [{"object": "embedding", "index": index, "embedding": vector} for index in range(count)]
    usage = {"prompt_tokens": PROMPT_TOKENS * count, "total_tokens": PROMPT_TOKENS * count}
    return _json({"object": "list", "data": data, "model": "simulated", "usage": usage})


def _response(text: str, tokens: int) -> bytes:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    message = {"type": "message", "id": "msg_simulated", "role": "assistant", "status": "completed", "content": content}
    usage = {
        "input_tokens": PROMPT_TOKENS,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": PROMPT_TOKENS + tokens,
    }
    head = {"id": "resp_simulated", "object": "response", "created_at": 1, "status": "completed", "model": "simulated"}
    return _json(head | {"output": [message], "usage": usage, "parallel_tool_calls": True, "tool_choice": "auto", "tools": []})


@lru_cache(maxsize=64)
def failure(status: int) -> bytes:
    """An error as OpenAI words it."""
    code = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}.get(status)
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return error(f"A simulated failure with status {status}.", kind=kind, code=code)


def error(message: str, *, kind: str = "invalid_request_error", code: str | None = None) -> bytes:
    return _json({"error": {"message": message, "type": kind, "param": None, "code": code}})


@lru_cache(maxsize=1)
def models() -> bytes:
    return _json({"object": "list", "data": [{"id": "simulated", "object": "model", "created": 1, "owned_by": "simulator"}]})


@lru_cache(maxsize=512)
def head(status: int, length: int, retry_after: float | None = None) -> bytes:
    """A status line and headers, with rate limits as a provider shows them: plenty left, or none with a 429."""
    is_throttled = status == 429
    lines = [
        f"HTTP/1.1 {status} Simulated",
        "Content-Type: application/json",
        f"Content-Length: {length}",
        "x-request-id: req_simulated",
        "x-ratelimit-limit-requests: 100000",
        f"x-ratelimit-remaining-requests: {0 if is_throttled else 99999}",
        f"x-ratelimit-reset-requests: {f'{retry_after or 1:g}s' if is_throttled else '1ms'}",
    ]
    if retry_after is not None:
        lines.append(f"Retry-After: {retry_after:g}")
    if 300 <= status < 400:
        lines.append("Location: /v1/elsewhere")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _json(content: object) -> bytes:
    return json.dumps(content).encode()
