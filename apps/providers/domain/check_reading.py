"""Whether an answer can be the one to our call, and what it used where the provider's word on that can't be taken."""

import re
from dataclasses import replace
from typing import Any

import orjson

from apps.providers.domain.answers import Reading
from apps.providers.domain.limits import BYTES_A_TOKEN
from apps.providers.domain.outcomes import Outcome
from apps.spend.domain.usage import TokenUsage

ESTIMATED_USAGE = "What it used is counted as our own estimate."
EXCESSIVE_USAGE = "The provider reports far more than the call can have used by our own estimate; it is charged as reported."
# Beyond both it is: so many times what all bytes of request or answer come to, and so many tokens more.
_EXCESSIVE_TIMES, _EXCESSIVE_TOKENS = 3, 1000
# Parts of a request that count by what they hold, not by their bytes.
_HEAVY = re.compile(rb'"type"\s*:\s*"(?:image|image_url|input_image|input_audio|audio|file|input_file|document|video)"')
# A floor: most texts have fewer bytes to a token.
_BYTES_A_TOKEN = 4
# The member in which each endpoint's answers stand.
_SHAPES = {"/v1/chat/completions": "choices", "/v1/completions": "choices", "/v1/embeddings": "data", "/v1/responses": "output"}
_WITHOUT_OUTPUT = {"/v1/embeddings"}
_ASKED = ("messages", "prompt", "input", "instructions", "system")
_SAID = {"content", "text", "arguments", "refusal"}


def check_reading(reading: Reading, *, endpoint: str, request: bytes, answer: bytes) -> Reading:
    """The reading of a good answer, checked: another endpoint's answer is none, and no answer is free of charge."""
    if reading.outcome is not Outcome.OK:
        return reading
    if reading.shape != _SHAPES.get(endpoint, reading.shape):
        return Reading(
            outcome=Outcome.AMBIGUOUS,
            error_code="foreign_answer",
            error_message=f"The provider answered {endpoint} in the shape of another endpoint: it may be another call's answer.",
        )
    usage = reading.usage
    is_plausible = usage is not None and usage.total_input_tokens and (usage.total_output_tokens or endpoint in _WITHOUT_OUTPUT)
    if usage is not None and is_excessive(usage, request, answer):
        reading = replace(reading, is_excessive=True, note=f"{reading.note} {EXCESSIVE_USAGE}".strip())
    if is_plausible and (not reading.note or reading.note == EXCESSIVE_USAGE):
        return reading
    counted = usage or TokenUsage()
    floor = estimate_usage(request, b"" if endpoint in _WITHOUT_OUTPUT else answer)
    more_input = max(0, floor.input_tokens - counted.total_input_tokens)
    more_output = max(0, floor.output_tokens - counted.total_output_tokens)
    if usage is not None and not (more_input or more_output):
        return reading
    usage = replace(counted, input_tokens=counted.input_tokens + more_input, output_tokens=counted.output_tokens + more_output)
    return replace(reading, usage=usage, note=f"{reading.note} {ESTIMATED_USAGE}".strip())


def is_excessive(usage: TokenUsage, request: bytes, answer: bytes) -> bool:
    """Whether this can't well have been used; what was reasoned, seen or heard can't be told from outside, and counts for nothing here."""
    if _is_far_beyond(usage.said_tokens, answer):
        return True
    return _is_far_beyond(usage.total_input_tokens, request) and _HEAVY.search(request) is None


def _is_far_beyond(tokens: int, text: bytes) -> bool:
    estimated = len(text) / BYTES_A_TOKEN
    return tokens > _EXCESSIVE_TIMES * estimated and tokens > estimated + _EXCESSIVE_TOKENS


def estimate_usage(request: bytes, answer: bytes) -> TokenUsage:
    """By the bytes of what was asked and said."""
    asked, said = _parse(request), _parse(answer)
    given = [asked[name] for name in _ASKED if name in asked]
    return TokenUsage(input_tokens=_tokens(given, None), output_tokens=_tokens([said], _SAID))


def _tokens(values: list[Any], names: set[str] | None) -> int:
    """Of all texts in these; only of members with these names, when some are given. Answers are hostile: no recursion."""
    found, stack = 0, [(value, names is None) for value in values]
    while stack:
        value, is_counted = stack.pop()
        if isinstance(value, str):
            found += len(value.encode(errors="replace")) if is_counted else 0
        elif isinstance(value, list):
            stack += [(entry, is_counted) for entry in value]
        elif isinstance(value, dict):
            stack += [(entry, names is None or name in names) for name, entry in value.items()]
    return -(-found // _BYTES_A_TOKEN)


def _parse(body: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(body) if body else {}
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
