"""What a recipe declares, taken field by field; whatever is wrong is told with the field's name and what to write instead."""

from collections.abc import Mapping
from typing import Any

import orjson

from apps.lib.json_text import JsonRefusedError, read_json

MOST_TEXT = 200_000
_NAME_SHOWN = 60


class RecipeRefusedError(Exception):
    """A recipe can't say this; `field` is the place that is wrong, like `labels` or `steps.facts.user`."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field, self.message = field, message


class Fields:
    """The values of one declaration. `prefix` stands before each field's name in what is refused."""

    def __init__(self, values: Mapping[str, Any], *, prefix: str = "") -> None:
        self._values, self._prefix = values, prefix
        self._known: list[str] = []

    def refuse(self, name: str, message: str) -> RecipeRefusedError:
        """The refusal for one field: `message` goes on after its name."""
        return RecipeRefusedError(f"{self._prefix}{name}", f"{self._prefix}{name} {message}")

    def close(self) -> None:
        """Refuse what nobody has asked for: a misspelt field is told, not ignored."""
        if unknown := next((name for name in self._values if name not in self._known), None):
            raise self.refuse(str(unknown)[:_NAME_SHOWN], f"is no field here; there are {', '.join(self._known)}.")

    def has(self, name: str) -> bool:
        return self._take(name) is not None

    def text(self, name: str, default: str | None = None, *, most: int = MOST_TEXT) -> str:
        """Without a default it must be there."""
        value = self._take(name)
        if value is None or (isinstance(value, str) and not value.strip()):
            if default is None:
                raise self.refuse(name, "is missing: give it a text.")
            return default
        if not isinstance(value, str):
            raise self.refuse(name, f"must be a text, not {_kind(value)}.")
        if len(value) > most:
            raise self.refuse(name, f"has {len(value):,} characters; {most:,} at most.")
        if "\0" in value:
            raise self.refuse(name, "holds a NUL character; take it out.")
        return value

    def choice(self, name: str, allowed: tuple[str, ...], default: str | None = None) -> str:
        value = self.text(name, default, most=MOST_TEXT)
        if value not in allowed:
            raise self.refuse(name, f"must be {_either(allowed)}, not {value[:_NAME_SHOWN]!r}.")
        return value

    def whole(self, name: str, default: int, *, least: int, most: int) -> int:
        value = self._take(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self.refuse(name, f"must be a whole number from {least:,} to {most:,}.")
        return value

    def truth(self, name: str, *, default: bool = False) -> bool:
        value = self._take(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.refuse(name, "must be true or false.")
        return value

    def entries(self, name: str, *, most: int) -> list[Any]:
        """A list; empty when nothing is said."""
        value = self._take(name)
        if value is None:
            return []
        if not isinstance(value, list) or len(value) > most:
            raise self.refuse(name, f"must be a list of at most {most:,}.")
        return value

    def mapping(self, name: str) -> dict[str, Any]:
        """An object; empty when nothing is said."""
        value = self._take(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self.refuse(name, f"must be an object (in TOML a table), not {_kind(value)}.")
        return value

    def schema(self, name: str) -> dict[str, Any] | None:
        """A JSON schema: an object, or the text of one, since TOML is a poor language for it."""
        value = self._take(name)
        if isinstance(value, str) and value.strip():
            try:
                value = read_json(value.encode())
            except JsonRefusedError as refused:
                raise self.refuse(name, f"must be a JSON schema. {refused.message}") from refused
        if value is None or value == "":
            return None
        if not isinstance(value, dict) or not value:
            raise self.refuse(name, 'must be a JSON schema, like {"type": "object", "properties": {"total": {"type": "number"}}}.')
        return value

    def policy_text(self, name: str) -> str:
        """A setting of how answers are come by, as it stands in a batch's metadata; true and numbers are understood, too."""
        value = self._take(name)
        if isinstance(value, bool):
            return "on" if value else "off"
        return str(value) if isinstance(value, int) else self.text(name, "", most=1000)

    def _take(self, name: str) -> Any:
        if name not in self._known:
            self._known.append(name)
        return self._values.get(name)


def check_json(values: Mapping[str, Any]) -> str:
    """The declaration as it is kept; RecipeRefusedError for what JSON can't say, like a date of TOML."""
    for name, value in values.items():
        try:
            orjson.dumps(value, option=orjson.OPT_PASSTHROUGH_DATETIME)
        except orjson.JSONEncodeError as error:
            raise RecipeRefusedError(str(name)[:_NAME_SHOWN], f"{str(name)[:_NAME_SHOWN]} can't be written as JSON: {error}.") from error
    return orjson.dumps(values).decode()


def _either(allowed: tuple[str, ...]) -> str:
    return f"{', '.join(allowed[:-1])} or {allowed[-1]}" if len(allowed) > 1 else allowed[0]


def _kind(value: Any) -> str:
    names = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)
