"""Variables of a prompt: what a version declares, and whether the values of a request fit."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
MOST_VARIABLES = 100
MOST_CHOICES = 200
_CHOICE_LENGTH = 1000
_DESCRIPTION_LENGTH = 500
_SHOWN = 60
_KEYS = {"name", "type", "required", "default", "choices", "description"}


class VariableType(StrEnum):
    """What a value may be: a text, a finite number, true or false, one of some texts, or anything that JSON can say."""

    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    JSON = "json"


class VariableRefusedError(Exception):
    """A declaration or a value doesn't fit; `name` is the variable's, `message` begins with it."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name, self.message = name, message


@dataclass(frozen=True, slots=True)
class Variable:
    """One declared variable. Without a default, one that isn't required is an empty text when it is left out."""

    name: str
    type: VariableType = VariableType.TEXT
    is_required: bool = True
    default: Any = None
    choices: tuple[str, ...] = ()
    description: str = ""

    def as_json(self) -> dict[str, Any]:
        told: dict[str, Any] = {"name": self.name, "type": self.type.value, "required": self.is_required}
        if self.default is not None:
            told["default"] = self.default
        if self.choices:
            told["choices"] = list(self.choices)
        if self.description:
            told["description"] = self.description
        return told

    def text_of(self, value: Any) -> str:
        """The value as it stands in a text; VariableRefusedError when it isn't of this type."""
        match self.type:
            case VariableType.TEXT if isinstance(value, str):
                return value
            case VariableType.NUMBER if _is_number(value):
                return str(value)
            case VariableType.BOOLEAN if isinstance(value, bool):
                return "true" if value else "false"
            case VariableType.CHOICE if isinstance(value, str):
                if value in self.choices:
                    return value
                raise VariableRefusedError(self.name, f"{self.name} must be one of {_listed(self.choices)}; not {_short(value)}.")
            case VariableType.JSON:
                return self._json_of(value)
            case _:
                raise VariableRefusedError(self.name, f"{self.name} must be {_KINDS[self.type]}, not {_kind(value)}.")

    def _json_of(self, value: Any) -> str:
        try:
            # Sorted, so that the same value is the same text, whatever the order it came in.
            return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
        except (orjson.JSONEncodeError, UnicodeDecodeError) as error:
            raise VariableRefusedError(self.name, f"{self.name} can't be written as JSON: {error}.") from error


def _is_number(value: Any) -> bool:
    """One that JSON can write, and all readers read alike."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**64


_KINDS = {
    VariableType.TEXT: "a text",
    VariableType.NUMBER: "a number",
    VariableType.BOOLEAN: "true or false",
    VariableType.CHOICE: "a text",
}
_NAMES = {
    type(None): "null",
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "a text",
    list: "a list",
    dict: "an object",
}


def read_variables(declared: Any) -> tuple[Variable, ...]:
    """A version's declaration, from JSON: a list of objects with `name`, `type`, `required`, `default`, `choices`, `description`."""
    if not isinstance(declared, list):
        raise VariableRefusedError("", f"variables must be a list of objects, not {_kind(declared)}.")
    if len(declared) > MOST_VARIABLES:
        raise VariableRefusedError("", f"A version has at most {MOST_VARIABLES} variables, not {len(declared)}.")
    found = tuple(_read_one(entry) for entry in declared)
    names = [variable.name for variable in found]
    for name in names:
        if names.count(name) > 1:
            raise VariableRefusedError(name, f"{name} is declared twice.")
    return found


def _read_one(entry: Any) -> Variable:
    if not isinstance(entry, dict):
        raise VariableRefusedError("", f"variables must be a list of objects, not of {_kind(entry)}.")
    name = entry.get("name")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise VariableRefusedError("", f"A variable's name is letters, digits and '_', begins with no digit, and isn't {_short(name)}.")
    if unknown := sorted(str(key) for key in entry if key not in _KEYS):
        raise VariableRefusedError(name, f"{name} has no {_short(unknown[0])}; a variable says {', '.join(sorted(_KEYS))}.")
    type_name = entry.get("type", VariableType.TEXT.value)
    if not isinstance(type_name, str) or type_name not in set(VariableType):
        raise VariableRefusedError(name, f"{name}: type must be one of {', '.join(VariableType)}; not {_short(type_name)}.")
    default, description = entry.get("default"), entry.get("description", "")
    is_required = entry.get("required", default is None)
    if not isinstance(is_required, bool):
        raise VariableRefusedError(name, f"{name}: required must be true or false.")
    if not isinstance(description, str) or len(description) > _DESCRIPTION_LENGTH:
        raise VariableRefusedError(name, f"{name}: description must be a text of at most {_DESCRIPTION_LENGTH} characters.")
    variable = Variable(name, VariableType(type_name), is_required, default, _read_choices(name, type_name, entry), description)
    if default is not None:
        _check_default(variable)
    return variable


def _read_choices(name: str, type_name: str, entry: Mapping[str, Any]) -> tuple[str, ...]:
    choices = entry.get("choices", [])
    are_texts = isinstance(choices, list) and all(isinstance(one, str) and 0 < len(one) <= _CHOICE_LENGTH for one in choices)
    if not are_texts or len(choices) > MOST_CHOICES:
        raise VariableRefusedError(name, f"{name}: choices must be a list of at most {MOST_CHOICES} texts.")
    if (type_name == VariableType.CHOICE) != bool(choices):
        raise VariableRefusedError(name, f"{name}: choices belong to the type choice, which needs some.")
    return tuple(choices)


def _check_default(variable: Variable) -> None:
    if variable.is_required:
        raise VariableRefusedError(variable.name, f"{variable.name} is required, so it can have no default.")
    try:
        variable.text_of(variable.default)
    except VariableRefusedError as refused:
        raise VariableRefusedError(variable.name, f"{variable.name}: its default doesn't fit: {refused.message}") from refused


def fill_values(variables: Sequence[Variable], values: Any) -> dict[str, str]:
    """The text of every declared variable; VariableRefusedError names the first that is missing, unknown or of another type."""
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise VariableRefusedError("", f"variables must be an object, not {_kind(values)}.")
    declared = {variable.name for variable in variables}
    if unknown := next((name for name in values if name not in declared), None):
        known = ", ".join(sorted(declared)) or "none"
        raise VariableRefusedError(str(unknown)[:64], f"There is no variable {_short(unknown)}; this version has: {known}.")
    return {variable.name: _filled(variable, values) for variable in variables}


def _filled(variable: Variable, values: Mapping[str, Any]) -> str:
    value = values.get(variable.name)
    if variable.name not in values or (value is None and variable.type is not VariableType.JSON):
        if variable.is_required:
            raise VariableRefusedError(variable.name, f"{variable.name} is required and missing.")
        return "" if variable.default is None else variable.text_of(variable.default)
    return variable.text_of(value)


def _kind(value: Any) -> str:
    return _NAMES.get(type(value), type(value).__name__)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def _listed(choices: Sequence[str]) -> str:
    shown = ", ".join(_short(choice) for choice in choices[:10])
    return shown + (", ..." if len(choices) > 10 else "")
