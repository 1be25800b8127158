"""Whether an answer can be the one to our call, and what it used where the provider's word on that can't be taken."""

from dataclasses import replace
from typing import Any

import orjson

from apps.providers.domain.answers import Reading
from apps.providers.domain.outcomes import Outcome
from apps.spend.domain.usage import TokenUsage

ESTIMATED_USAGE = "What it used is counted as our own estimate."
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
    if is_plausible and not reading.note:
        return reading
    counted = usage or TokenUsage()
    floor = estimate_usage(request, b"" if endpoint in _WITHOUT_OUTPUT else answer)
    more_input = max(0, floor.input_tokens - counted.total_input_tokens)
    more_output = max(0, floor.output_tokens - counted.total_output_tokens)
    if usage is not None and not (more_input or more_output):
        return reading
    usage = replace(counted, input_tokens=counted.input_tokens + more_input, output_tokens=counted.output_tokens + more_output)
    return replace(reading, usage=usage, note=f"{reading.note} {ESTIMATED_USAGE}".strip())


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
