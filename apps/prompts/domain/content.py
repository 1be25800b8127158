"""What a version of a prompt says: its texts, variables, model, parameters and output schema; and the request that values make of it."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from apps.lib.json_text import find_nul
from apps.prompts.domain.template import Template, check_template, fill_together, read_template
from apps.prompts.domain.variables import Variable, VariableRefusedError, fill_values, read_variables

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,49}")
NAME_RULE = "A prompt's name has up to 50 small letters, digits, '.', '_' and '-', and begins with a letter or digit."
MOST_CHARACTERS = 200_000
_MODEL_LENGTH = 200
_MOST_SCHEMA_BYTES = 100_000
# A request, and the line of a file around it, put more levels around these.
_MOST_LEVELS = 100
_NOT_IN_A_SCHEMA_NAME = re.compile(r"[^A-Za-z0-9_-]")
# What a version may say of the request beside its texts, and how a value must look.
_NUMBER, _WHOLE, _TRUTH = "a number", "a whole number", "true or false"
_TEXT, _TEXTS, _OBJECT = "a text", "a text or a list of texts", "an object"
PARAMETERS = {
    "temperature": _NUMBER,
    "top_p": _NUMBER,
    "presence_penalty": _NUMBER,
    "frequency_penalty": _NUMBER,
    "max_tokens": _WHOLE,
    "max_completion_tokens": _WHOLE,
    "seed": _WHOLE,
    "stop": _TEXTS,
    "reasoning_effort": _TEXT,
    "verbosity": _TEXT,
    "logprobs": _TRUTH,
    "logit_bias": _OBJECT,
}


class ContentRefusedError(Exception):
    """A version can't say this; `field` is the part that is wrong."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field, self.message = field, message


@dataclass(frozen=True, slots=True)
class PromptContent:
    """Good content of a version. An empty `model`: whoever asks names one."""

    system: str = ""
    user: str = ""
    variables: tuple[Variable, ...] = ()
    model: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    output_schema: Mapping[str, Any] | None = None

    @property
    def size(self) -> int:
        """About how many characters it holds."""
        return len(self.system) + len(self.user) + len(orjson.dumps(self.as_json()["variables"])) + len(orjson.dumps(self.output_schema))

    def as_json(self) -> dict[str, Any]:
        return {
            "system": self.system,
            "user": self.user,
            "variables": [variable.as_json() for variable in self.variables],
            "model": self.model,
            "parameters": dict(self.parameters),
            "output_schema": None if self.output_schema is None else dict(self.output_schema),
        }


def read_content(
    *,
    system: str = "",
    user: str = "",
    variables: Any = (),
    model: str = "",
    parameters: Any = None,
    output_schema: Any = None,
    is_kept: bool = False,
) -> PromptContent:
    """ContentRefusedError names the part that is wrong, and what to change.

    `is_kept`: it was written before, so its placeholders may stand where none is put any more.
    """
    for name, text in (("system", system), ("user", user)):
        if len(text) > MOST_CHARACTERS:
            raise ContentRefusedError(name, f"{name} has {len(text):,} characters; {MOST_CHARACTERS:,} at most.")
        if "\0" in text:
            raise ContentRefusedError(name, f"{name} holds a NUL character.")
    if not system.strip() and not user.strip():
        raise ContentRefusedError("user", "A version says something: give system or user a text.")
    if len(model) > _MODEL_LENGTH:
        raise ContentRefusedError("model", f"model has more than {_MODEL_LENGTH} characters.")
    for name, value in (("variables", variables), ("parameters", parameters), ("output_schema", output_schema)):
        _check_json(name, value)
    declared = _declared(list(variables) if isinstance(variables, tuple) else variables)
    _check_uses(declared, read_template if is_kept else check_template, system=system, user=user)
    return PromptContent(system, user, declared, model, _read_parameters(parameters), _read_schema(output_schema))


def _check_json(name: str, value: Any) -> None:
    """Refuse what can't be stored and sent as JSON."""
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        raise ContentRefusedError(name, f"{name} can't be written as JSON: {error}.") from error
    if find_nul(value) is not None:
        raise ContentRefusedError(name, f"{name} holds the character U+0000.")
    waiting = [(value, 1)]
    while waiting:
        here, level = waiting.pop()
        if isinstance(here, float) and not math.isfinite(here):
            raise ContentRefusedError(name, f"{name} holds a number that JSON has no way to write: {here}.")
        inner = here.values() if isinstance(here, dict) else here if isinstance(here, list | tuple) else ()
        if inner and level > _MOST_LEVELS:
            raise ContentRefusedError(name, f"{name} is nested too deeply: {_MOST_LEVELS} levels at most.")
        waiting.extend((one, level + 1) for one in inner)


def _declared(variables: Any) -> tuple[Variable, ...]:
    try:
        return read_variables(variables)
    except VariableRefusedError as refused:
        raise ContentRefusedError("variables", refused.message) from refused


def _check_uses(declared: tuple[Variable, ...], read: Callable[[str], Template], *, system: str, user: str) -> None:
    known = {variable.name for variable in declared}
    used: set[str] = set()
    for place, text in (("system", system), ("user", user)):
        try:
            names = read(text).names
        except VariableRefusedError as refused:
            raise ContentRefusedError(place, refused.message) from refused
        if missing := next((name for name in names if name not in known), None):
            raise ContentRefusedError("variables", f"{place} uses {{{{ {missing} }}}}, and no variable of that name is declared.")
        used.update(names)
    if unused := next((variable.name for variable in declared if variable.name not in used), None):
        raise ContentRefusedError("variables", f"{unused} is declared, and neither system nor user uses {{{{ {unused} }}}}.")


def _read_parameters(parameters: Any) -> dict[str, Any]:
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise ContentRefusedError("parameters", "parameters must be an object.")
    for name, value in parameters.items():
        if name not in PARAMETERS:
            raise ContentRefusedError("parameters", f"{str(name)[:60]!r} is no parameter of a version; it may say {', '.join(PARAMETERS)}.")
        if not _fits(value, PARAMETERS[name]):
            raise ContentRefusedError("parameters", f"{name} must be {PARAMETERS[name]}.")
    return dict(parameters)


def _fits(value: Any, kind: str) -> bool:
    match kind:
        case "a number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "a whole number":
            return isinstance(value, int) and not isinstance(value, bool)
        case "true or false":
            return isinstance(value, bool)
        case "a text":
            return isinstance(value, str)
        case "an object":
            return isinstance(value, dict)
        case _:
            return isinstance(value, str) or (isinstance(value, list) and all(isinstance(one, str) for one in value))


def _read_schema(schema: Any) -> dict[str, Any] | None:
    if schema is None:
        return None
    if not isinstance(schema, dict) or not schema:
        raise ContentRefusedError("output_schema", "output_schema must be a JSON schema, as an object.")
    if len(orjson.dumps(schema)) > _MOST_SCHEMA_BYTES:
        raise ContentRefusedError("output_schema", f"output_schema is longer than {_MOST_SCHEMA_BYTES:,} bytes.")
    return schema


@dataclass(frozen=True, slots=True)
class PublishedPrompt:
    """One version of a prompt, ready to make requests."""

    name: str
    number: int
    content: PromptContent

    @property
    def label(self) -> str:
        """What an item keeps of it."""
        return f"{self.name}@{self.number}"


def make_messages(content: PromptContent, values: Any) -> list[dict[str, str]]:
    """The messages that these values make; VariableRefusedError names the one that doesn't fit."""
    texts = fill_values(content.variables, values)
    parts = [(role, text) for role, text in (("system", content.system), ("user", content.user)) if text.strip()]
    filled = fill_together([read_template(text) for _, text in parts], texts)
    return [{"role": role, "content": text} for (role, _), text in zip(parts, filled, strict=True)]


def make_body(prompt: PublishedPrompt, body: Mapping[str, Any], values: Any) -> dict[str, Any]:
    """The chat request that `body` asks for by this prompt: what it says itself wins, its messages stand behind the prompt's."""
    content = prompt.content
    made: dict[str, Any] = {"model": content.model} if content.model else {}
    made |= content.parameters
    if content.output_schema is not None:
        name = _NOT_IN_A_SCHEMA_NAME.sub("_", prompt.name)
        made["response_format"] = {"type": "json_schema", "json_schema": {"name": name, "schema": content.output_schema}}
    made |= {key: value for key, value in body.items() if key not in ("prompt", "messages")}
    given = body.get("messages")
    return made | {"messages": [*make_messages(content, values), *(given if isinstance(given, list) else [])]}
