"""From Anthropic's message to OpenAI's chat completion. Every value is the provider's, so none is trusted to have its type."""

from typing import Any

import orjson

from apps.providers.adapters.reading import count
from apps.spend.domain.usage import TokenUsage

_FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


def read_usage(raw: Any) -> TokenUsage | None:
    """Here `input_tokens` counts only what was neither read from the cache nor written to it: three buckets side by side.

    What is written for an hour stands inside what is written; reasoning (thinking) inside the output.
    """
    if not isinstance(raw, dict):
        return None
    given, written = count(raw, "input_tokens"), count(raw, "output_tokens")
    if given is None or written is None:
        return None
    details = raw.get("cache_creation")
    times = details if isinstance(details, dict) else {}
    hour = count(times, "ephemeral_1h_input_tokens") or 0
    kept = max(count(raw, "cache_creation_input_tokens") or 0, hour + (count(times, "ephemeral_5m_input_tokens") or 0))
    output = raw.get("output_tokens_details")
    reasoning = min(written, (count(output, "thinking_tokens") or 0) if isinstance(output, dict) else 0)
    return TokenUsage(
        input_tokens=given,
        cached_input_tokens=count(raw, "cache_read_input_tokens") or 0,
        cache_write_tokens=kept - hour,
        cache_write_1h_tokens=hour,
        output_tokens=written - reasoning,
        reasoning_tokens=reasoning,
    )


def is_known_stop(message: dict[str, Any]) -> bool:
    """Its reason for ending has a counterpart in OpenAI's words; others are told as `stop`."""
    return message.get("stop_reason") in _FINISH_REASONS


def finish_reason(message: dict[str, Any]) -> str:
    """Why it ended, in OpenAI's words."""
    stop_reason = message.get("stop_reason")
    return _FINISH_REASONS.get(stop_reason, "stop") if isinstance(stop_reason, str) else "stop"


def write_chat_completion(message: dict[str, Any], usage: TokenUsage | None, *, created: int) -> dict[str, Any] | None:
    """The chat completion; None when the message isn't whole: no list of blocks, a block without its parts, or no reason for its end."""
    blocks, stop_reason = message.get("content"), message.get("stop_reason")
    if not isinstance(blocks, list) or not isinstance(stop_reason, str):
        return None
    texts: list[str] = []
    tool_calls: list[dict[str, Any]] = []
    for block in blocks:
        kind = block.get("type") if isinstance(block, dict) else None
        if kind == "text" and isinstance(block.get("text"), str):
            texts.append(block["text"])
        elif kind == "tool_use" and isinstance(block.get("name"), str) and isinstance(block.get("input"), dict):
            call = _tool_call(block)
            if call is None:
                return None
            tool_calls.append(call)
        elif kind in {None, "text", "tool_use"}:
            return None
        # Other blocks (thinking) have no place in a chat completion; they stay in the provider's own answer, which is kept.
    said: dict[str, Any] = {"role": "assistant", "content": "".join(texts) if texts or not tool_calls else None, "refusal": None}
    if tool_calls:
        said["tool_calls"] = tool_calls
    completion = {
        "id": _text(message.get("id")),
        "object": "chat.completion",
        "created": created,
        "model": _text(message.get("model")),
        "choices": [{"index": 0, "message": said, "logprobs": None, "finish_reason": finish_reason(message)}],
    }
    if usage:
        completion["usage"] = write_usage(usage)
    return completion


def _tool_call(block: dict[str, Any]) -> dict[str, Any] | None:
    try:
        arguments = orjson.dumps(block["input"]).decode()
    except orjson.JSONEncodeError:
        return None  # nested deeper than can be written
    return {"id": _text(block.get("id")), "type": "function", "function": {"name": block["name"], "arguments": arguments}}


def write_usage(usage: TokenUsage) -> dict[str, Any]:
    """OpenAI counts cached tokens inside the prompt's."""
    return {
        "prompt_tokens": usage.total_input_tokens,
        "completion_tokens": usage.total_output_tokens,
        "total_tokens": usage.total_input_tokens + usage.total_output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_input_tokens},
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
