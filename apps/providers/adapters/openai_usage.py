"""What OpenAI-compatible providers report of a call, in buckets that don't overlap: they agree on names, less on what is inside what."""

from typing import Any

from apps.providers.adapters.reading import count
from apps.spend.domain.usage import TokenUsage

_GIVEN = ("prompt_tokens_details", "input_tokens_details")
_WRITTEN = ("completion_tokens_details", "output_tokens_details")


def read_usage(raw: Any) -> TokenUsage | None:
    """Chat and completions say prompt/completion, responses say input/output; cached, written and heard tokens stand inside the input."""
    if not isinstance(raw, dict):
        return None
    given, written = count(raw, "prompt_tokens", "input_tokens"), count(raw, "completion_tokens", "output_tokens")
    if given is None:
        return None
    # DeepSeek and Moonshot count what the cache had beside the details.
    left, cached = _take(given, _detail(raw, _GIVEN, "cached_tokens") or count(raw, "prompt_cache_hit_tokens", "cached_tokens") or 0)
    left, kept = _take(left, _detail(raw, _GIVEN, "cache_write_tokens"))
    left, heard = _take(left, _detail(raw, _GIVEN, "audio_tokens"))
    left, seen = _take(left, _detail(raw, _GIVEN, "image_tokens"))
    said, reasoning = _reasoned(raw, given, written)
    said, spoken = _take(said, _detail(raw, _WRITTEN, "audio_tokens"))
    said, drawn = _take(said, _detail(raw, _WRITTEN, "image_tokens"))
    return TokenUsage(
        input_tokens=left,
        cached_input_tokens=cached,
        cache_write_tokens=kept,
        audio_input_tokens=heard,
        image_input_tokens=seen,
        output_tokens=said,
        reasoning_tokens=reasoning,
        audio_output_tokens=spoken,
        image_output_tokens=drawn,
    )


def _take(whole: int, part: int) -> tuple[int, int]:
    """What is left of the whole, and the part: never more than there is."""
    part = min(whole, part)
    return whole - part, part


def _reasoned(raw: dict[str, Any], given: int, written: int | None) -> tuple[int, int]:
    """(said, reasoned). Most count reasoning inside the completion; xAI and Gemini beside it, which only the total tells."""
    if written is None:
        return 0, 0
    reasoning = _detail(raw, _WRITTEN, "reasoning_tokens")
    beside = (count(raw, "total_tokens") or 0) - given - written
    if beside > 0 and reasoning in {0, beside}:
        return written, beside
    return _take(written, reasoning)


def _detail(raw: dict[str, Any], groups: tuple[str, ...], name: str) -> int:
    for group in groups:
        details = raw.get(group)
        if isinstance(details, dict):
            return count(details, name) or 0
    return 0
