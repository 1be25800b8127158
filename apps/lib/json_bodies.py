"""JSON request bodies for REST framework: read strictly, before any view or serializer sees them."""

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.parsers import BaseParser

from apps.lib.http_errors import ApiError
from apps.lib.json_text import JsonRefusedError, read_json


class StrictJSONParser(BaseParser):
    """REST framework's own parser answers 500 to deep nesting, and lets through text that Postgres refuses."""

    media_type = "application/json"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        """The decoded body; ApiError (400) says where it is no JSON."""
        del media_type, parser_context
        try:
            return read_json(stream.read())
        except JsonRefusedError as refused:
            raise ApiError(400, "invalid_json", refused.message, param=refused.place) from refused
