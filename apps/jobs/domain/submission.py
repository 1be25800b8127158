"""What a request for a batch must look like: the values of POST /v1/batches become a Submission, or one clear refusal."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from apps.jobs.domain.intake import ENDPOINTS, FEATURE_LENGTH
from apps.jobs.domain.lifecycle import Lane
from apps.jobs.domain.prompt_version import PROMPT_VERSION_LENGTH
from apps.lib.json_text import is_storable
from apps.providers.domain.policy import USUAL_TIMES, AnswerPolicy, CacheTimes, PolicyRefusedError, of_metadata, read_policy

COMPLETION_WINDOW = "24h"
COMPLETION_WINDOW_SECONDS = 24 * 3600
PAIRS = 16
_KEY_LENGTH = 64
VALUE_LENGTH = 512
LEAST_EXPIRY_SECONDS = 3600
MOST_EXPIRY_SECONDS = 30 * 24 * 3600
ON_BUDGET = ("wait", "fail")
# What money columns hold: 8 digits before the point and 12 after it.
USD = r"[0-9]{1,8}(\.[0-9]{1,12})?"
_KNOWN = {"input_file_id", "endpoint", "completion_window", "metadata", "output_expires_after"}


class SubmissionRefusedError(Exception):
    """The request is wrong at `param`."""

    def __init__(self, code: str, message: str, param: str) -> None:
        super().__init__(message)
        self.code, self.message, self.param = code, message, param


@dataclass(frozen=True, slots=True)
class Submission:
    """A well-formed request; whether the file is there is for the caller to see."""

    input_file_id: str
    endpoint: str
    metadata: dict[str, str] | None
    lane: Lane
    feature: str
    max_cost_usd: Decimal | None
    on_budget: str
    policy: AnswerPolicy
    output_expires_after_seconds: int | None
    prompt_version: str = ""
    reuse: str = ""


def read_submission(values: object, *, times: CacheTimes = USUAL_TIMES) -> Submission:
    """Judge a decoded JSON body; SubmissionRefusedError names the first parameter that is wrong."""
    if not isinstance(values, Mapping):
        raise SubmissionRefusedError("invalid_type", "The body must be a JSON object.", "body")
    if unknown := sorted(str(name) for name in values if name not in _KNOWN):
        raise SubmissionRefusedError("unknown_parameter", f"Unknown parameter: {unknown[0][:100]!r}.", unknown[0][:100])
    input_file_id = _text(values, "input_file_id")
    endpoint = _one_of(_text(values, "endpoint"), ENDPOINTS, "endpoint")
    _one_of(_text(values, "completion_window"), (COMPLETION_WINDOW,), "completion_window")
    metadata = _metadata(values.get("metadata"))
    hints = metadata or {}
    return Submission(
        input_file_id=input_file_id,
        endpoint=endpoint,
        metadata=metadata,
        lane=Lane(_one_of(hints.get("priority", Lane.DEFAULT), tuple(Lane), "metadata.priority")),
        feature=_short(hints.get("feature", ""), FEATURE_LENGTH, "metadata.feature"),
        max_cost_usd=_cost(hints.get("max_cost_usd")),
        on_budget=_one_of(hints.get("on_budget", "wait"), ON_BUDGET, "metadata.on_budget"),
        policy=_policy(hints, endpoint, times),
        output_expires_after_seconds=_expiry(values.get("output_expires_after")),
        prompt_version=_short(hints.get("prompt_version", ""), PROMPT_VERSION_LENGTH, "metadata.prompt_version"),
        reuse=hints.get("reuse", ""),
    )


def _policy(hints: Mapping[str, str], endpoint: str, times: CacheTimes) -> AnswerPolicy:
    try:
        return read_policy(of_metadata(hints), endpoint=endpoint, times=times)
    except PolicyRefusedError as refused:
        raise SubmissionRefusedError("invalid_value", refused.message, refused.param) from refused


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    if value is None or value == "":
        raise SubmissionRefusedError("missing_required_parameter", f"Missing required parameter: '{name}'.", name)
    if not isinstance(value, str):
        raise SubmissionRefusedError("invalid_type", f"'{name}' must be a string.", name)
    return value


def _one_of(value: str, allowed: tuple[str, ...], name: str) -> str:
    if value not in allowed:
        message = f"Invalid value {value[:100]!r} for '{name}': use {', '.join(repr(str(item)) for item in allowed)}."
        raise SubmissionRefusedError("invalid_value", message, name)
    return value


def _short(value: str, length: int, name: str) -> str:
    if len(value) > length:
        raise SubmissionRefusedError("string_above_max_length", f"'{name}' has {len(value)} characters; {length} at most.", name)
    return value


def _metadata(value: object) -> dict[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise SubmissionRefusedError("invalid_type", "'metadata' must be an object of strings.", "metadata")
    if len(value) > PAIRS:
        raise SubmissionRefusedError("invalid_value", f"'metadata' has {len(value)} pairs; {PAIRS} at most.", "metadata")
    for key, text in value.items():
        if not isinstance(text, str):
            raise SubmissionRefusedError("invalid_type", f"metadata[{key[:_KEY_LENGTH]!r}] must be a string.", "metadata")
        _short(key, _KEY_LENGTH, "metadata")
        _short(text, VALUE_LENGTH, f"metadata.{key}" if is_storable(key) else "metadata")
        if not (is_storable(key) and is_storable(text)):
            raise SubmissionRefusedError("invalid_value", "'metadata' holds a NUL or half a surrogate pair; remove it.", "metadata")
    return dict(value)


def _cost(text: str | None) -> Decimal | None:
    if text is None:
        return None
    cost = Decimal(text) if re.fullmatch(USD, text) else Decimal(0)
    if not cost:
        message = f"Invalid value {text[:100]!r} for 'metadata.max_cost_usd': use US dollars above 0, below 100 million, like '12.50'."
        raise SubmissionRefusedError("invalid_value", message, "metadata.max_cost_usd")
    return cost


def _expiry(value: object) -> int | None:
    if value is None:
        return None
    name = "output_expires_after"
    if not isinstance(value, dict):
        raise SubmissionRefusedError("invalid_type", f"'{name}' must be an object with 'anchor' and 'seconds'.", name)
    if value.get("anchor") != "created_at":
        raise SubmissionRefusedError("invalid_value", f"'{name}.anchor' must be 'created_at'.", f"{name}.anchor")
    seconds = value.get("seconds")
    if type(seconds) is not int or not LEAST_EXPIRY_SECONDS <= seconds <= MOST_EXPIRY_SECONDS:
        message = f"'{name}.seconds' must be a whole number from {LEAST_EXPIRY_SECONDS} to {MOST_EXPIRY_SECONDS}."
        raise SubmissionRefusedError("invalid_value", message, f"{name}.seconds")
    return seconds
