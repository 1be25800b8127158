"""Answers in OpenAI's and Anthropic's shapes, made once and sent many times."""

import base64
import gzip
import hashlib
import json
import math
import re
import struct
from functools import lru_cache
from typing import Any

from apps.ops.domain.simulation import Script

PROMPT_TOKENS = 20
MESSAGES = "/messages"
CALLS = ("/chat/completions", "/responses", "/completions", "/embeddings", MESSAGES)
_TEXT = "The simulated provider has thought about it and answers this. "
_ANTHROPIC_ERRORS = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_WRONG_USAGE: dict[str, Any] = {"zero": 0, "negative": -5, "huge": 10**12, "text": "many"}
_GZIP_BOMB_BYTES = 64 * 1024 * 1024
# How many numbers a vector has when the request doesn't say, and at most.
_DIMENSIONS, _MOST_DIMENSIONS = 256, 3072
_WORD = re.compile(r"\w+")


@lru_cache(maxsize=256)
def success(path: str, script: Script, turn: int = 0) -> bytes:
    """An answer with status 200 for a path that ends as one of CALLS, using 20 tokens of input and as many of output as the script says.

    `turn`: how many answers the conversation has, so that the ids of tool calls are told apart.
    """
    text = (script.say or _TEXT) + "x" * (script.body_kilobytes * 1024)
    content = _of_path(path, text, script.tokens)
    if script.refuse:
        _refuse(content)
    if script.tool:
        _call_tools(content, script, turn)
    if script.empty:
        content |= {name: [] for name in ("choices", "output", "content") if name in content}
        content.pop("stop_reason", None)
        if "output" in content:
            del content["output"]
    if script.usage == "missing":
        del content["usage"]
    elif script.usage != "true":
        wrong = _WRONG_USAGE[script.usage]
        content["usage"] = {name: wrong for name, value in content["usage"].items() if isinstance(value, int)}
    return _json(content)


def _refuse(content: dict[str, Any]) -> None:
    """As each shape says it."""
    if content.get("type") == "message":
        content |= {"stop_reason": "refusal", "content": [{"type": "text", "text": "I can't help with that."}]}
    for choice in content.get("choices", ()):
        choice["finish_reason"] = "content_filter"
        if "message" in choice:
            choice["message"] |= {"content": None, "refusal": "I can't help with that."}
    for entry in content.get("output", ()):
        entry["content"] = [{"type": "refusal", "refusal": "I can't help with that."}]


def _call_tools(content: dict[str, Any], script: Script, turn: int) -> None:
    """As each shape says it."""
    calls = [(f"call_{turn}_{place}", name) for place, name in enumerate(script.tool.split(","))]
    if content.get("type") == "message":
        said = [{"type": "text", "text": script.beside}] if script.beside else []
        uses = [{"type": "tool_use", "id": key, "name": name, "input": json.loads(script.arguments)} for key, name in calls]
        content |= {"stop_reason": "tool_use", "content": said + uses}
    for choice in content.get("choices", ()):
        if "message" in choice:
            told = [{"id": key, "type": "function", "function": {"name": name, "arguments": script.arguments}} for key, name in calls]
            choice["message"] |= {"content": script.beside or None, "tool_calls": told}
            choice["finish_reason"] = "tool_calls"


def _of_path(path: str, text: str, tokens: int) -> dict[str, Any]:
    if path.endswith("/responses"):
        return _response(text, tokens)
    if path.endswith(MESSAGES):
        return _message(text, tokens)
    choice: dict[str, Any] = {"index": 0, "finish_reason": "stop", "logprobs": None}
    if path.endswith("/chat/completions"):
        choice["message"] = {"role": "assistant", "content": text, "refusal": None}
        head = {"id": "chatcmpl-simulated", "object": "chat.completion", "created": 1, "model": "simulated"}
    else:
        choice["text"] = text
        head = {"id": "cmpl-simulated", "object": "text_completion", "created": 1, "model": "simulated"}
    usage = {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": tokens, "total_tokens": PROMPT_TOKENS + tokens}
    return head | {"choices": [choice], "usage": usage}


def used(path: str, request: bytes, tokens: int) -> tuple[int, int]:
    """(input, output) tokens of a good answer to this request."""
    return (PROMPT_TOKENS * len(_texts(_read(request))), 0) if path.endswith("/embeddings") else (PROMPT_TOKENS, tokens)


def embeddings(request: bytes) -> bytes:
    """One vector for each input, in the form the request asks for; each input uses 20 tokens. Inputs with words in common are near."""
    asked = _read(request)
    inputs = _texts(asked)
    length = asked.get("dimensions")
    dimensions = length if isinstance(length, int) and 0 < length <= _MOST_DIMENSIONS else _DIMENSIONS
    is_base64 = asked.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": index, "embedding": _vector(text, dimensions, is_base64=is_base64)}
        for index, text in enumerate(inputs)
    ]
    usage = {"prompt_tokens": PROMPT_TOKENS * len(inputs), "total_tokens": PROMPT_TOKENS * len(inputs)}
    return _json({"object": "list", "data": data, "model": "simulated", "usage": usage})


def _read(request: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(request)
    except ValueError:
        return {}
    return asked if isinstance(asked, dict) else {}


def _texts(asked: dict[str, Any]) -> list[str]:
    inputs = asked.get("input", "")
    # A list of numbers is one input in tokens.
    is_many = isinstance(inputs, list) and bool(inputs) and not isinstance(inputs[0], int)
    return [str(one) for one in inputs] if is_many else [str(inputs)]


@lru_cache(maxsize=1024)
def _vector(text: str, dimensions: int, *, is_base64: bool) -> list[float] | str:
    """Each word points in four directions of its own; of length 1."""
    numbers = [0.0] * dimensions
    for word in _WORD.findall(text.lower()) or [""]:
        digest = hashlib.blake2b(word.encode(), digest_size=16).digest()
        for place in range(0, 16, 4):
            said = int.from_bytes(digest[place : place + 4])
            numbers[(said >> 1) % dimensions] += 1.0 if said & 1 else -1.0
    length = math.hypot(*numbers)
    made = [round(number / length, 6) for number in numbers] if length else [1.0, *numbers[1:]]
    return base64.b64encode(struct.pack(f"<{dimensions}f", *made)).decode() if is_base64 else made


def _message(text: str, tokens: int) -> dict[str, Any]:
    usage = {"input_tokens": PROMPT_TOKENS, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": tokens}
    head = {"id": "msg_simulated", "type": "message", "role": "assistant", "model": "simulated"}
    return head | {"content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": None, "usage": usage}


@lru_cache(maxsize=1)
def gzip_bomb() -> bytes:
    """64 MB of blanks, packed into 64 kB."""
    return gzip.compress(b" " * _GZIP_BOMB_BYTES)


def _response(text: str, tokens: int) -> dict[str, Any]:
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
    return head | {"output": [message], "usage": usage, "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}


@lru_cache(maxsize=64)
def failure(path: str, status: int) -> bytes:
    """An error as the one or the other words it."""
    if path.endswith(MESSAGES):
        kind = _ANTHROPIC_ERRORS.get(status, "api_error" if status >= 500 else "invalid_request_error")
        said = {"type": kind, "message": f"A simulated failure with status {status}."}
        return _json({"type": "error", "error": said, "request_id": "req_simulated"})
    code = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}.get(status)
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return error(f"A simulated failure with status {status}.", kind=kind, code=code)


def error(message: str, *, kind: str = "invalid_request_error", code: str | None = None) -> bytes:
    return _json({"error": {"message": message, "type": kind, "param": None, "code": code}})


@lru_cache(maxsize=1)
def models() -> bytes:
    return _json({"object": "list", "data": [{"id": "simulated", "object": "model", "created": 1, "owned_by": "simulator"}]})


def _json(content: object) -> bytes:
    return json.dumps(content).encode()
