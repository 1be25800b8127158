"""JSON texts, read strictly: what can't be stored, counted or told apart is refused with its place."""

from typing import Any

import orjson

from apps.lib.json_keys import find_doubled_key

MOST_LEVELS = 250
# Below this many brackets nothing can be nested too deeply to be written again (orjson writes 254 levels).
_SURELY_FLAT = 200
_LONGEST_PLACE = 100
# Where a text with U+0000 stands: the key or number that leads there, and the same of what it stands in.
_Way = tuple["_Way", str | int] | None


class JsonRefusedError(ValueError):
    """The text is not JSON that is taken here; `place` leads to what is wrong (`messages[0].content`) when that is a value."""

    def __init__(self, message: str, place: str | None = None) -> None:
        super().__init__(message)
        self.message, self.place = message, place


def read_json(text: bytes) -> Any:
    """The value; JsonRefusedError says what is wrong where."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise JsonRefusedError(f"The body is not valid JSON: {explain_json(text, error)}.") from error
    if text.count(b"{") + text.count(b"[") >= _SURELY_FLAT:
        _refuse_deep(value)
    if (key := find_doubled_key(text, value)) is not None:
        # What is checked here might not be what the next reader takes.
        message = f"The key {key[:_LONGEST_PLACE]!r} stands twice in one object of the body; keep one."
        raise JsonRefusedError(message, key[:_LONGEST_PLACE])
    # Escaped it is the only way to write it in JSON; looked for in the raw bytes, because nearly no body has it.
    if b"\\u0000" in text and (place := find_nul(value)) is not None:
        message = f"{place or 'The body'} holds the character U+0000 (written \\u0000), which neither databases nor models take; remove it."
        raise JsonRefusedError(message, place or None)
    return value


def is_storable(text: str) -> bool:
    """Whether Postgres takes it: neither U+0000 nor a lone surrogate."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def explain_json(text: bytes, error: orjson.JSONDecodeError) -> str:
    """Why `text` could not be read: the byte that is no UTF-8, or what stands at which line and column."""
    try:
        text.decode()
    except UnicodeDecodeError as wrong:
        return f"it is not valid UTF-8 at byte {wrong.start + 1} (0x{text[wrong.start]:02x})"
    if (nul := text.find(b"\0")) >= 0:
        return f"it holds a NUL byte (byte {nul + 1})"
    hint = " (JSON has no NaN and no Infinity)" if error.doc[error.pos :].lstrip("-").startswith(("NaN", "Infinity")) else ""
    return f"{error.msg} (line {error.lineno}, column {error.colno}){hint}"


def find_nul(value: Any) -> str | None:
    """The place of a text with U+0000 ("" is the value itself, a key counts as its object); None when there is none."""
    waiting: list[tuple[Any, _Way]] = [(value, None)]
    while waiting:
        here, way = waiting.pop()
        if isinstance(here, str) and "\0" in here:
            return _place(way)
        if isinstance(here, dict):
            if any("\0" in key for key in here):
                return _place(way)
            waiting.extend((inner, (way, key)) for key, inner in here.items())
        elif isinstance(here, list):
            waiting.extend((inner, (way, number)) for number, inner in enumerate(here))
    return None


def _refuse_deep(value: Any) -> None:
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        raise JsonRefusedError(f"The body is nested too deeply: {MOST_LEVELS} levels at most.") from error


def _place(way: _Way) -> str:
    steps: list[str] = []
    while way is not None:
        way, step = way
        steps.append(f"[{step}]" if isinstance(step, int) else f".{step[:_LONGEST_PLACE]}")
    return "".join(reversed(steps)).removeprefix(".")[:_LONGEST_PLACE]
