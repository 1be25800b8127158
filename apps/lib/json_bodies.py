"""JSON request bodies, read strictly: no NaN, no half surrogate pairs, no nesting without end."""

from collections.abc import Mapping
from typing import IO, Any

import orjson
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser


class StrictJSONParser(BaseParser):
    """REST framework's own parser answers 500 to deep nesting, and lets through text that Postgres refuses."""

    media_type = "application/json"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        """The decoded body; ParseError (400) says where it is no JSON."""
        del media_type, parser_context
        try:
            return orjson.loads(stream.read())
        except orjson.JSONDecodeError as error:
            message = f"The body is not valid JSON: {error.msg} (line {error.lineno}, column {error.colno})."
            raise ParseError(message) from error
