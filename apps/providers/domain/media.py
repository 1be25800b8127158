"""What a request holds besides text: which kinds of tokens it can come to, and how many its pictures may be."""

from collections.abc import Mapping
from typing import Any

# No count of bytes bounds a picture: an address is short, and an empty one is packed into nothing. The most that a provider is known
# to count for one is 48,169 (2,833 and 5,667 for each of eight tiles); where a small one is asked for, 2,833.
TOKENS_OF_IMAGE = 50_000
TOKENS_OF_SMALL_IMAGE = 3_000
_IMAGES = {"image_url", "input_image", "image"}

_INPUT, _AUDIO_OUTPUT, _IMAGE_OUTPUT = frozenset({"audio_input", "image_input"}), frozenset({"audio_output"}), frozenset({"image_output"})
# All that is known to be text. A key that isn't listed may mean anything to some provider.
_BODY = {
    "model", "messages", "input", "prompt", "instructions", "suffix", "echo", "temperature", "top_p", "top_k", "min_p", "max_tokens",
    "max_completion_tokens", "max_output_tokens", "n", "best_of", "stop", "seed", "presence_penalty", "frequency_penalty", "logit_bias",
    "logprobs", "top_logprobs", "user", "safety_identifier", "metadata", "response_format", "text", "tools", "tool_choice",
    "parallel_tool_calls", "functions", "function_call", "reasoning", "reasoning_effort", "verbosity", "service_tier", "store", "stream",
    "stream_options", "prompt_cache_key", "modalities", "dimensions", "encoding_format",
}  # fmt: skip
_MESSAGE = {"role", "content", "name", "tool_calls", "tool_call_id", "refusal", "function_call", "type", "id", "status"}
_PART = {"type", "text", "refusal", "annotations", "logprobs", "cache_control"}
_TEXTS = {"text", "input_text", "output_text", "refusal"}
_SAID = {"function_call", "reasoning"}


def most_image_tokens(body: Mapping[str, Any]) -> int:
    """Of all pictures in it together."""
    tokens = 0
    waiting: list[Any] = [body.get("messages"), body.get("input")]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, dict):
            if value.get("type") in _IMAGES:
                tokens += TOKENS_OF_SMALL_IMAGE if _detail(value) == "low" else TOKENS_OF_IMAGE
            else:
                waiting.extend(value.values())
    return tokens


def _detail(part: Mapping[str, Any]) -> Any:
    image = part.get("image_url")
    return image.get("detail") if isinstance(image, dict) else part.get("detail")


def impossible_buckets(body: Mapping[str, Any]) -> frozenset[str]:
    """The kinds of tokens that this request can't come to: those that it neither holds nor asks for.

    Whatever isn't known to be text may be anything. Some models draw unasked, so only a request for text alone rules pictures out.
    """
    if not body.keys() <= _BODY:
        return frozenset()
    modalities = body.get("modalities")
    buckets = frozenset() if modalities not in (None, ["text"]) else _AUDIO_OUTPUT | (_IMAGE_OUTPUT if modalities else frozenset())
    return buckets | _INPUT if _is_text(body) else buckets


def _is_text(body: Mapping[str, Any]) -> bool:
    messages, given, tools = body.get("messages"), body.get("input"), body.get("tools")
    return (
        (messages is None or (isinstance(messages, list) and all(map(_is_text_message, messages))))
        and (given is None or _is_words(given) or (isinstance(given, list) and all(map(_is_text_message, given))))
        and _is_words(body.get("prompt", ""))
        and (
            tools is None or (isinstance(tools, list) and all(isinstance(tool, dict) and tool.get("type") == "function" for tool in tools))
        )
    )


def _is_words(value: Any) -> bool:
    """A text, several, or their tokens."""
    if isinstance(value, list):
        return all(isinstance(one, str | int) or (isinstance(one, list) and all(isinstance(token, int) for token in one)) for one in value)
    return isinstance(value, str)


def _is_text_message(message: Any) -> bool:
    if not isinstance(message, dict):
        return False
    kind = message.get("type", "message")
    if kind == "function_call_output":
        return isinstance(message.get("output"), str)
    return kind in _SAID or (kind == "message" and message.keys() <= _MESSAGE and _is_text_content(message.get("content")))


def _is_text_content(content: Any) -> bool:
    if content is None or isinstance(content, str):
        return True
    return isinstance(content, list) and all(
        isinstance(part, dict) and part.get("type") in _TEXTS and part.keys() <= _PART for part in content
    )
