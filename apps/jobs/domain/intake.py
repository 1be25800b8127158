"""What a line of a batch file must look like: its bytes become an ItemSpec, or a LineError that says what to mend."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unicodedata import normalize
from uuid import UUID

import orjson

from apps.jobs.domain.prompt_use import Expand, PromptUseRefusedError, names_prompt
from apps.jobs.domain.prompt_version import PromptVersionRefusedError, prompt_version_of
from apps.jobs.domain.tool_wish import CheckTools, ToolWishRefusedError, names_tools
from apps.lib.json_keys import find_doubled_key
from apps.providers.domain.catalogue import UNPRICED, WITHOUT_PRICE
from apps.providers.domain.contract import ContractRefusedError
from apps.providers.domain.policy import PLAIN, AnswerPolicy, check_request

ENDPOINTS = ("/v1/chat/completions", "/v1/responses", "/v1/completions", "/v1/embeddings")
CUSTOM_ID_LENGTH = 64
FEATURE_LENGTH = 64
_END_USER_LENGTH = 255
_BOM = b"\xef\xbb\xbf"
_SPACE = " \t\r\n"
_BLANK = _SPACE.encode()
# Below this many brackets nothing can be nested too deeply to be written again (orjson writes 254 levels).
_SURELY_FLAT = 200
# Values are read only to learn where they end, so numbers need not be made.
_measure = json.JSONDecoder(parse_int=len, parse_float=len)


@dataclass(frozen=True, slots=True)
class LineError:
    """Why a line (counted from 1; None: the whole file) is refused, in the words of the batch object's `errors.data`."""

    code: str
    message: str
    param: str | None = None
    line: int | None = None

    def as_json(self) -> dict[str, str | int | None]:
        return {"code": self.code, "message": self.message, "param": self.param, "line": self.line}


@dataclass(frozen=True, slots=True)
class ItemSpec:
    """One good line. `body` is the request as the caller wrote it, byte for byte, or what a stored prompt made of it."""

    position: int
    custom_id: str
    model_id: UUID
    end_user: str
    feature: str
    body: bytes
    prompt_version: str = ""


@dataclass(frozen=True, slots=True)
class LineRules:
    """What every line of one batch is held against."""

    endpoint: str
    model_id: Callable[[str], UUID | None]
    feature: str = ""
    prompt_version: str = ""
    policy: AnswerPolicy = PLAIN
    unpriced_models: frozenset[UUID] = frozenset()
    expand: Expand | None = None
    check_tools: CheckTools | None = None


class _RefusedError(Exception):
    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.param = code, message, param


def read_line(line: bytes, *, number: int, rules: LineRules) -> ItemSpec | LineError | None:
    """Judge one line (with or without its line end); None: it is blank. `number` counts from 1."""
    if number == 1:
        line = line.removeprefix(_BOM)
    line = line.strip(_BLANK)
    if not line:
        return None
    try:
        envelope, body, raw_body = _split_plain(line) or _split_any(line)
        _refuse_nul(line, envelope, body)
        _refuse_doubled(raw_body, body)
        custom_id = _custom_id(envelope)
        _check_address(envelope, rules.endpoint)
        prompt_version = ""
        if rules.expand and names_prompt(body, rules.endpoint):
            body, raw_body, prompt_version = _expand(body, rules.expand)
        if rules.policy.is_steered:
            _check_policy(body, rules)
        if rules.check_tools and names_tools(body):
            _check_tools(body, raw_body, rules, rules.check_tools)
        return ItemSpec(
            position=number,
            custom_id=custom_id,
            model_id=_model_id(body, rules),
            end_user=_end_user(body),
            feature=_feature(body, rules.feature),
            body=raw_body,
            prompt_version=prompt_version or _prompt_version(body, rules.prompt_version),
        )
    except _RefusedError as refused:
        return LineError(refused.code, refused.message, refused.param, number)


def too_long(*, number: int, max_line_bytes: int) -> LineError:
    """The error for a line that was not read to its end."""
    return LineError("line_too_large", f"This line is longer than {max_line_bytes:,} bytes; shorten the request.", None, number)


def same_id(custom_id: str) -> str:
    """Ids that people can't tell apart (composed and decomposed accents) are one id."""
    return custom_id if custom_id.isascii() else normalize("NFC", custom_id)


def duplicate(custom_id: str, *, first: int, second: int) -> LineError:
    """The error for a `custom_id` that an earlier line has used."""
    message = f"The custom_id {custom_id!r} of line {second} is already used in line {first}; each must be unique in its file."
    return LineError("duplicate_custom_id", message, "custom_id", second)


# --- from bytes to values ---------------------------------------------------------------------------------------


def _split_plain(line: bytes) -> tuple[dict[str, Any], dict[str, Any], bytes] | None:
    """The quick way, for lines whose last key is `body`; None when the line is anything else.

    Everything before the body's value, closed with `null}`, is an object, and the value is one as well: then the line is both put
    together. Nothing is parsed twice and the body is a slice of the line.
    """
    name = line.find(b'"body"')
    colon = line.find(b":", name + 6)
    if name < 0 or colon < 0 or line[-1:] != b"}":
        return None
    head, raw_body = line[: colon + 1], line[colon + 1 : -1].strip(_BLANK)
    try:
        envelope = orjson.loads(head + b"null}")
        body = orjson.loads(raw_body)
    except orjson.JSONDecodeError:
        return None
    is_plain = type(envelope) is dict and type(body) is dict and len(envelope) == head.count(b'":')
    return (envelope, body, raw_body) if is_plain and _is_writable(raw_body, body) else None


def _split_any(line: bytes) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """The exact way, which says what is wrong."""
    text = _decode(line)
    envelope = _parse(line, text)
    if not isinstance(envelope, dict):
        raise _RefusedError("invalid_json_line", f"This line must be a JSON object, not {_kind(envelope)}.")
    places = _top_level(text)
    body = envelope.get("body")
    if body is None:
        raise _RefusedError("missing_required_parameter", "This line has no body: put the request there, as an object.", "body")
    if not isinstance(body, dict):
        raise _RefusedError("invalid_type", f"body must be an object, not {_kind(body)}.", "body")
    start, end = places["body"]
    raw_body = text[start:end].encode()
    if not _is_writable(raw_body, body):
        raise _RefusedError("invalid_json_line", "body is nested too deeply: 250 levels at most.", "body")
    return envelope, body, raw_body


def _decode(line: bytes) -> str:
    if (nul := line.find(b"\0")) >= 0:
        raise _RefusedError("invalid_json_line", f"This line holds a NUL byte (byte {nul + 1}); JSON text has none. Write the file anew.")
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        message = f"This line is not valid UTF-8 at byte {error.start + 1} (0x{line[error.start]:02x}); save the file as UTF-8."
        raise _RefusedError("invalid_json_line", message) from error


def _parse(line: bytes, text: str) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        where = f"{error.msg} at column {error.pos + 1}"
        if text[error.pos :].lstrip("-").startswith(("NaN", "Infinity")):
            where += " (JSON has no NaN and no Infinity)"
        raise _RefusedError("invalid_json_line", f"This line is not parseable as valid JSON: {where}.") from error


def _top_level(text: str) -> dict[str, tuple[int, int]]:
    """Where the value of each key of the (valid) object `text` begins and ends."""
    places: dict[str, tuple[int, int]] = {}
    at = text.index("{") + 1
    while True:
        at = _skip(text, at, _SPACE + ",")
        if text[at] == "}":
            return places
        key, at = _measure.raw_decode(text, at)
        start = _skip(text, at, _SPACE + ":")
        try:
            _, at = _measure.raw_decode(text, start)
        except RecursionError as error:
            raise _RefusedError("invalid_json_line", f"{key} is nested too deeply: 250 levels at most.", key) from error
        if key in places:
            raise _RefusedError("invalid_json_line", f"{key!r} stands twice in this line; keep one.", key)
        places[key] = (start, at)


def _skip(text: str, at: int, characters: str) -> int:
    while text[at] in characters:
        at += 1
    return at


def _is_writable(raw_body: bytes, body: dict[str, Any]) -> bool:
    """False when the body is nested too deeply to be written out again with another model's name."""
    if raw_body.count(b"{") + raw_body.count(b"[") < _SURELY_FLAT:
        return True
    try:
        orjson.dumps(body)
    except orjson.JSONEncodeError:
        return False
    return True


def _refuse_nul(line: bytes, *values: Any) -> None:
    """Refuse an escaped NUL in any text; a backslash before the escape makes it harmless, so what was parsed decides."""
    if b"\\u0000" not in line:
        return
    waiting: list[Any] = list(values)
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.keys())
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, str) and "\0" in value:
            message = "This line holds the character NUL (\\u0000), which neither databases nor models take; remove it."
            raise _RefusedError("invalid_json_line", message)


def _refuse_doubled(raw_body: bytes, body: dict[str, Any]) -> None:
    """Readers disagree about which of two equal keys holds: ours would count and price one request, the provider answer another."""
    if (key := find_doubled_key(raw_body, body)) is not None:
        message = f"The key {key[:100]!r} stands twice in one object of body; keep one."
        raise _RefusedError("invalid_json_line", message, "body")


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "a boolean"
    names = {list: "an array", dict: "an object", str: "a string", type(None): "null"}
    return names.get(type(value), "a number")


# --- from values to a spec --------------------------------------------------------------------------------------


def _text(values: dict[str, Any], path: str) -> str:
    value = values.get(path.rpartition(".")[2])
    if value is None or value == "":
        raise _RefusedError("missing_required_parameter", f"{path} is missing or empty.", path)
    if not isinstance(value, str):
        raise _RefusedError("invalid_type", f"{path} must be a string, not {_kind(value)}.", path)
    return value


def _custom_id(envelope: dict[str, Any]) -> str:
    custom_id = _text(envelope, "custom_id")
    if len(custom_id) > CUSTOM_ID_LENGTH:
        message = f"custom_id has {len(custom_id)} characters; {CUSTOM_ID_LENGTH} at most."
        raise _RefusedError("string_above_max_length", message, "custom_id")
    return custom_id


def _check_address(envelope: dict[str, Any], endpoint: str) -> None:
    method, url = _text(envelope, "method"), _text(envelope, "url")
    if method != "POST":
        raise _RefusedError("invalid_method", f"method must be POST, not {method[:20]!r}.", "method")
    if url == endpoint:
        return
    if url not in ENDPOINTS:
        raise _RefusedError("invalid_url", f"url {url[:100]!r} is not one of {', '.join(ENDPOINTS)}.", "url")
    raise _RefusedError(
        "url_mismatch",
        f"url {url!r} is not the batch's endpoint {endpoint!r}; a batch has one endpoint: put these lines in a file of their own.",
        "url",
    )


def _model_id(body: dict[str, Any], rules: LineRules) -> UUID:
    model = _text(body, "body.model")
    model_id = rules.model_id(model)
    if model_id is None:
        message = f"The model {model[:100]!r} does not exist here; GET /v1/models lists those that do."
        raise _RefusedError("model_not_found", message, "body.model")
    if model_id in rules.unpriced_models:
        raise _RefusedError(UNPRICED, WITHOUT_PRICE, "body.model")
    if body.get("stream") is not None and body["stream"] is not False:
        raise _RefusedError("invalid_value", "A batch does not stream: leave out body.stream or set it to false.", "body.stream")
    return model_id


def _check_policy(body: dict[str, Any], rules: LineRules) -> None:
    try:
        check_request(rules.policy, body, endpoint=rules.endpoint)
    except ContractRefusedError as refused:
        raise _RefusedError("invalid_value", refused.message, f"body.{refused.param}") from refused


def _check_tools(body: dict[str, Any], raw_body: bytes, rules: LineRules, check: CheckTools) -> None:
    try:
        check(body, raw_body, rules.endpoint, rules.policy)
    except ToolWishRefusedError as refused:
        raise _RefusedError("invalid_value", refused.message, f"body.{refused.param}") from refused


def _expand(body: dict[str, Any], expand: Expand) -> tuple[dict[str, Any], bytes, str]:
    try:
        expanded = expand(body)
    except PromptUseRefusedError as refused:
        raise _RefusedError(refused.code, refused.message, f"body.{refused.param}") from refused
    return expanded.values, expanded.body, expanded.prompt_version


def _end_user(body: dict[str, Any]) -> str:
    user = body.get("safety_identifier") or body.get("user")
    return user[:_END_USER_LENGTH] if isinstance(user, str) else ""


def _prompt_version(body: dict[str, Any], default: str) -> str:
    try:
        return prompt_version_of(body, default)
    except PromptVersionRefusedError as refused:
        raise _RefusedError("invalid_value", str(refused), "body.metadata.prompt_version") from refused


def _feature(body: dict[str, Any], default: str) -> str:
    """The line's own `metadata.feature` wins over the batch's."""
    metadata = body.get("metadata")
    feature = metadata.get("feature") if isinstance(metadata, dict) else None
    if feature is None or feature == "":
        return default
    if not isinstance(feature, str) or len(feature) > FEATURE_LENGTH:
        message = f"body.metadata.feature must be a text of at most {FEATURE_LENGTH} characters."
        raise _RefusedError("invalid_value", message, "body.metadata.feature")
    return feature
