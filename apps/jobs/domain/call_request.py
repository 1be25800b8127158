"""What a single call must look like: its body and headers become a CallRequest, or an error that says what to mend."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import orjson

from apps.lib.json_keys import find_doubled_key

FEATURE_LENGTH = 64
FEATURE_HEADER = "X-Feature"
MAX_COST_HEADER = "X-Max-Cost-USD"
_END_USER_LENGTH = 255
_MODEL_LENGTH = 200
# What money columns hold: 8 digits before the point and 12 after it.
_USD = re.compile(r"\d{1,8}(\.\d{1,12})?", re.ASCII)
# Below this many brackets nothing is nested too deeply to be written again with another model's name.
_SURELY_FLAT = 200
# One of these must be there, and not empty. A prompt of the Responses API may stand for its input.
_NEEDED = {
    "/v1/chat/completions": ("messages",),
    "/v1/completions": ("prompt",),
    "/v1/embeddings": ("input",),
    "/v1/responses": ("input", "prompt"),
}


class CallRefusedError(Exception):
    """The request can't be taken; `param` names the place in the body, or the header."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.param = code, message, param


@dataclass(frozen=True, slots=True)
class CallRequest:
    """A good request. `body` is what the caller sent, byte for byte."""

    endpoint: str
    model: str
    end_user: str
    feature: str
    max_cost_usd: Decimal | None
    body: bytes


def read_call(body: bytes, *, endpoint: str, headers: Mapping[str, str]) -> CallRequest:
    """Judge one request; CallRefusedError names what is wrong with it."""
    values = _parse(body)
    model = values.get("model")
    if not isinstance(model, str) or not model:
        raise CallRefusedError("missing_required_parameter", "You must provide a model parameter, as a string.", "model")
    if len(model) > _MODEL_LENGTH:
        raise CallRefusedError("string_above_max_length", f"model has more than {_MODEL_LENGTH} characters.", "model")
    _check_needed(values, _NEEDED[endpoint])
    if values.get("stream") is not None and values["stream"] is not False:
        raise CallRefusedError("unsupported_value", "Streaming is not offered yet: leave out stream or set it to false.", "stream")
    return CallRequest(
        endpoint=endpoint,
        model=model,
        end_user=_end_user(values),
        feature=_feature(headers),
        max_cost_usd=_max_cost_usd(headers),
        body=body,
    )


def _parse(body: bytes) -> dict[str, Any]:
    try:
        values = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        message = f"The body is not valid JSON: {error.msg} (line {error.lineno}, column {error.colno})."
        raise CallRefusedError("invalid_json", message) from error
    if not isinstance(values, dict):
        raise CallRefusedError("invalid_type", "The body must be a JSON object.")
    if body.count(b"{") + body.count(b"[") >= _SURELY_FLAT:
        _check_depth(values)
    if (key := find_doubled_key(body, values)) is not None:
        # What was checked here might not be what a provider reads.
        raise CallRefusedError("invalid_json", f"{key[:100]!r} stands twice in one object; keep one.", key[:100])
    if b"\\u0000" in body:
        _refuse_nul(values, "")
    return values


def _check_depth(values: dict[str, Any]) -> None:
    try:
        orjson.dumps(values)
    except orjson.JSONEncodeError as error:
        raise CallRefusedError("invalid_json", "The body is nested too deeply: 250 levels at most.") from error


def _refuse_nul(value: Any, place: str) -> None:
    if isinstance(value, str) and "\0" in value:
        message = f"{place or 'The body'} holds the character NUL (\\u0000), which neither databases nor models take; remove it."
        raise CallRefusedError("invalid_value", message, place or None)
    if isinstance(value, dict):
        for key, inner in value.items():
            _refuse_nul(key, place)
            _refuse_nul(inner, f"{place}.{key}" if place else key)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            _refuse_nul(inner, f"{place}[{number}]")


def _check_needed(values: dict[str, Any], names: tuple[str, ...]) -> None:
    if not any(values.get(name) not in (None, "", [], {}) for name in names):
        raise CallRefusedError("missing_required_parameter", f"{' or '.join(names)} is missing or empty.", names[0])
    messages = values.get("messages")
    if names == ("messages",) and not (isinstance(messages, list) and all(isinstance(message, dict) for message in messages)):
        raise CallRefusedError("invalid_type", "messages must be an array of objects.", "messages")


def _end_user(values: dict[str, Any]) -> str:
    user = values.get("safety_identifier") or values.get("user")
    return user[:_END_USER_LENGTH] if isinstance(user, str) else ""


def _feature(headers: Mapping[str, str]) -> str:
    feature = headers.get(FEATURE_HEADER, "").strip()
    if len(feature) > FEATURE_LENGTH:
        message = f"The header {FEATURE_HEADER} has {len(feature)} characters; {FEATURE_LENGTH} at most."
        raise CallRefusedError("invalid_value", message, FEATURE_HEADER)
    return feature


def _max_cost_usd(headers: Mapping[str, str]) -> Decimal | None:
    text = headers.get(MAX_COST_HEADER, "").strip()
    if not text:
        return None
    if not _USD.fullmatch(text):
        message = f"The header {MAX_COST_HEADER} must be US dollars as a decimal below 100 million, like 0.05; not {text[:40]!r}."
        raise CallRefusedError("invalid_value", message, MAX_COST_HEADER)
    return Decimal(text)
