"""Answers in OpenAI's shapes, made once and sent many times."""

import json
from functools import lru_cache

PROMPT_TOKENS = 20
_TEXT = "The simulated provider has thought about it and answers this. "


@lru_cache(maxsize=256)
def success(path: str, tokens: int, extra_bytes: int) -> bytes:
    """A good answer for a path, using 20 tokens of input and `tokens` of output."""
    text = _TEXT + "x" * extra_bytes
    if path.endswith("/embeddings"):
        usage = {"prompt_tokens": PROMPT_TOKENS, "total_tokens": PROMPT_TOKENS}
        data = [{"object": "embedding", "index": 0, "embedding": [0.1] * 8}]
        return _json({"object": "list", "data": data, "model": "simulated", "usage": usage})
    if path.endswith("/responses"):
        content = [{"type": "output_text", "text": text, "annotations": []}]
        message = {"type": "message", "id": "msg_simulated", "role": "assistant", "status": "completed", "content": content}
        used: dict[str, object] = {
            "input_tokens": PROMPT_TOKENS,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": PROMPT_TOKENS + tokens,
        }
        head = {"id": "resp_simulated", "object": "response", "created_at": 1, "status": "completed", "model": "simulated"}
        return _json(head | {"output": [message], "usage": used, "parallel_tool_calls": True, "tool_choice": "auto", "tools": []})
    usage = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": tokens, "total_tokens": PROMPT_TOKENS + tokens}
    choice: dict[str, object] = {"index": 0, "finish_reason": "stop", "logprobs": None}
    if path.endswith("/chat/completions"):
        choice["message"] = {"role": "assistant", "content": text, "refusal": None}
        head = {"id": "chatcmpl-simulated", "object": "chat.completion", "created": 1, "model": "simulated"}
    else:
        choice["text"] = text
        head = {"id": "cmpl-simulated", "object": "text_completion", "created": 1, "model": "simulated"}
    return _json(head | {"choices": [choice], "usage": usage})


@lru_cache(maxsize=64)
def failure(status: int) -> bytes:
    """An error as OpenAI words it."""
    code = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}.get(status)
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return _json({"error": {"message": f"A simulated failure with status {status}.", "type": kind, "param": None, "code": code}})


def models() -> bytes:
    return _json({"object": "list", "data": [{"id": "simulated", "object": "model", "created": 1, "owned_by": "simulator"}]})


@lru_cache(maxsize=512)
def head(status: int, length: int, retry_after: float | None) -> bytes:
    """A status line and headers; the rate-limit headers are those of a provider that grants plenty."""
    lines = [
        f"HTTP/1.1 {status} Simulated",
        "Content-Type: application/json",
        f"Content-Length: {length}",
        "x-request-id: req_simulated",
        "x-ratelimit-limit-requests: 100000",
        "x-ratelimit-remaining-requests: 99999",
    ]
    if retry_after is not None:
        lines.append(f"Retry-After: {retry_after:g}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _json(content: object) -> bytes:
    return json.dumps(content).encode()
