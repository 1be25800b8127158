"""JSON in a form, read as strictly as in a request: what Python's own reader takes beyond JSON, or stumbles over, is refused."""

import json
from typing import Any

from django import forms

from apps.lib.json_text import JsonRefusedError, read_json


class _Reader(json.JSONDecoder):
    def decode(self, s: str) -> Any:  # type: ignore[override]  # what is told of white space is not asked for
        try:
            return read_json(s.encode())
        except JsonRefusedError as refused:
            raise json.JSONDecodeError(refused.message, s, 0) from refused


class JsonField(forms.JSONField):
    """Neither NaN nor Infinity, no key twice, nothing nested too deeply to be shown again."""

    def __init__(self, *, most_characters: int | None = None, **options: Any) -> None:
        super().__init__(decoder=_Reader, **options)
        # Django's max_length would ask the value for its length, which a number has none of.
        self.most_characters = most_characters

    def to_python(self, value: Any) -> Any:
        """ValidationError says what is wrong where."""
        if isinstance(value, str) and self.most_characters is not None and len(value) > self.most_characters:
            raise forms.ValidationError(f"It has {len(value):,} characters; {self.most_characters:,} at most.")
        try:
            if isinstance(value, str) and value:
                read_json(value.encode())
        except JsonRefusedError as refused:
            why = refused.message.replace("The body", "It").replace(" of the body", "")
            raise forms.ValidationError(f"Enter a valid JSON. {why}") from refused
        return super().to_python(value)


class BlankJsonField(JsonField):
    """Nothing is shown as nothing, not as `null`."""

    def prepare_value(self, value: Any) -> Any:
        return "" if value is None else super().prepare_value(value)
