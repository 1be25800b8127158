"""The contract of an answer: what the request itself says that it looks like (its `response_format`), checked."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jsonschema_rs
import orjson

from apps.providers.domain.said import Said
from apps.providers.domain.schema_guard import MOST_BYTES, RECURSIVE_LEVELS, SchemaRefusedError, weigh

_SCHEMAS_KEPT = 32
# About a tenth of a second: everybody's calls share the pump's loop.
_MOST_WORK = 3_000_000
_MOST_LEVELS = 200
_MOST_CHARACTERS = 1_000_000
_MESSAGE_LENGTH = 300
# A compiled pattern's size, and the table that its search may build.
_PATTERN_BYTES = 1 << 16
_TABLE_BYTES = 1 << 17
_WHAT_TO_GIVE = "an 'output_contract' needs a request that says what its answer looks like: a JSON schema ('json_schema') or 'json_object'."


class ContractRefusedError(Exception):
    """The request gives no contract that can be kept; `param` is the place in its body."""

    def __init__(self, message: str, param: str) -> None:
        super().__init__(message)
        self.message, self.param = message, param


class ContractBrokenError(Exception):
    """The answer doesn't fit; the text begins with the place in it."""


@dataclass(frozen=True, slots=True)
class Contract:
    """Ready to check answers; without a validator any JSON object fits."""

    validator: jsonschema_rs.Draft202012Validator | None = None
    weight: int = 1
    patterns: int = 0
    levels: int = _MOST_LEVELS

    def check(self, said: Said) -> None:
        """ContractBrokenError names the first place that is wrong. Tool calls are no texts, so there is nothing to check."""
        if said.is_tool_call:
            return
        if said.is_refused:
            raise ContractBrokenError("$: the model refused to answer")
        for text in said.texts or ("",):
            self._check_text(text)

    def _check_text(self, text: str) -> None:
        if len(text) > _MOST_CHARACTERS:
            raise ContractBrokenError(f"$: the answer has {len(text):,} characters; up to {_MOST_CHARACTERS:,} are checked")
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise ContractBrokenError(f"$: the answer is not JSON ({error.msg}, line {error.lineno}, column {error.colno})") from error
        if self.validator is None:
            if not isinstance(value, dict):
                raise ContractBrokenError("$: the answer is JSON, but not an object")
            return
        places = text.count(",") + text.count("[") + text.count("{") + 1
        if self.weight * places + self.patterns * len(text) > _MOST_WORK:
            raise ContractBrokenError("$: the answer is too long to be checked against this schema")
        if _levels(value) > self.levels:
            raise ContractBrokenError(f"$: the answer is nested deeper than {self.levels} levels")
        try:
            # Not iter_errors: it collects them all first, which took half a minute for a long list of wrong entries.
            self.validator.validate(value)
        except jsonschema_rs.ValidationError as wrong:
            raise ContractBrokenError(f"{_path(wrong.instance_path)}: {wrong.message[:_MESSAGE_LENGTH]}") from wrong


def read_contract(body: dict[str, Any], *, endpoint: str) -> Contract:
    """What the request of a chat completion or a response asks for; ContractRefusedError when that can't be checked."""
    shape, param = _asked_shape(body, endpoint)
    kind = shape.get("type")
    if kind == "json_object":
        return Contract()
    if kind != "json_schema":
        raise ContractRefusedError(_WHAT_TO_GIVE, param)
    holder = shape if endpoint == "/v1/responses" else shape.get("json_schema")
    place = f"{param}.schema" if endpoint == "/v1/responses" else f"{param}.json_schema.schema"
    schema = holder.get("schema") if isinstance(holder, dict) else None
    if not isinstance(schema, dict):
        raise ContractRefusedError(f"{place} must be a JSON schema, as an object.", place)
    try:
        return _compile(orjson.dumps(schema))
    except SchemaRefusedError as refused:
        raise ContractRefusedError(str(refused), place) from refused


def _asked_shape(body: dict[str, Any], endpoint: str) -> tuple[dict[str, Any], str]:
    if endpoint == "/v1/responses":
        text = body.get("text")
        shape, param = (text.get("format") if isinstance(text, dict) else None), "text.format"
    else:
        shape, param = body.get("response_format"), "response_format"
    if not isinstance(shape, dict):
        raise ContractRefusedError(_WHAT_TO_GIVE, param)
    return shape, param


@lru_cache(maxsize=_SCHEMAS_KEPT)
def _compile(text: bytes) -> Contract:
    if len(text) > MOST_BYTES:
        raise SchemaRefusedError(f"The schema has {len(text):,} bytes; {MOST_BYTES:,} at most.")
    schema = orjson.loads(text)
    weight, patterns, is_recursive = weigh(schema)
    options = jsonschema_rs.RegexOptions(size_limit=_PATTERN_BYTES, dfa_size_limit=_TABLE_BYTES)
    try:
        validator = jsonschema_rs.Draft202012Validator(schema, pattern_options=options, validate_formats=False, offline=True)
    except (ValueError, jsonschema_rs.ReferencingError) as error:
        raise SchemaRefusedError(f"The schema is not valid: {_first_line(error)}") from error
    return Contract(validator, weight, patterns, RECURSIVE_LEVELS if is_recursive else _MOST_LEVELS)


def _first_line(error: Exception) -> str:
    message = (getattr(error, "message", "") or str(error)).splitlines()[0][:_MESSAGE_LENGTH]
    if message.endswith('is not a "regex"'):
        return f"{message}: patterns are taken without lookaround and back-references, and up to a size."
    return message


def _path(steps: list[str | int]) -> str:
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


def _levels(value: Any) -> int:
    """How deep it is nested; without recursion, so that no answer is too deep for this."""
    deepest, waiting = 0, [(value, 0)]
    while waiting:
        entry, level = waiting.pop()
        deepest = max(deepest, level)
        inner = entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else ()
        waiting += [(part, level + 1) for part in inner if isinstance(part, dict | list)]
    return deepest
