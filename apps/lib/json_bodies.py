"""JSON request bodies, read strictly: no NaN, no half surrogate pairs, no U+0000, no nesting without end."""

from collections.abc import Mapping
from typing import IO, Any

import orjson
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from apps.lib.json_keys import find_doubled_key


class StrictJSONParser(BaseParser):
    """REST framework's own parser answers 500 to deep nesting, and lets through text that Postgres refuses."""

    media_type = "application/json"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        """The decoded body; ParseError (400) says where it is no JSON."""
        del media_type, parser_context
        text = stream.read()
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            message = f"The body is not valid JSON: {error.msg} (line {error.lineno}, column {error.colno})."
            raise ParseError(message) from error
        # Escaped it is the only way to write it in JSON; looked for in the raw bytes, because nearly no body has it.
        if b"\\u0000" in text and _has_nul(value):
            message = "The body holds the character U+0000 (written \\u0000), which can't be stored. Leave it out."
            raise ParseError(message)
        _refuse_doubled(text, value)
        return value


def _refuse_doubled(text: bytes, value: Any) -> None:
    try:
        key = find_doubled_key(text, value)
    except RecursionError as error:
        message = "The body is nested too deeply."
        raise ParseError(message) from error
    if key is not None:
        message = f"The key {key[:100]!r} stands twice in one object of the body; keep one."
        raise ParseError(message)


def _has_nul(value: Any) -> bool:
    """Looks into keys and values, without recursion: what the parser lets through may nest deeper than Python calls."""
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str() as text if "\0" in text:
                return True
            case list() as items:
                waiting += items
            case dict() as members:
                waiting += members
                waiting += members.values()
    return False
