"""A chat request that names a stored prompt (`"prompt": {"id": "letter", "version": 3, "variables": {}}`) becomes the request it means."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from apps.prompts.domain.book import PromptUnknownError
from apps.prompts.domain.content import PublishedPrompt, make_body
from apps.prompts.domain.variables import VariableRefusedError

CHAT = "/v1/chat/completions"
_KEYS = ("id", "version", "variables")
_DIGITS = 9


class PromptUseRefusedError(Exception):
    """The prompt can't be used so; `param` is the place in the body."""

    def __init__(self, code: str, message: str, param: str) -> None:
        super().__init__(message)
        self.code, self.message, self.param = code, message, param


@dataclass(frozen=True, slots=True)
class Expanded:
    """The whole request, as values and as bytes, and the version that it was made from."""

    values: dict[str, Any]
    body: bytes
    prompt_version: str


Expand = Callable[[dict[str, Any]], Expanded]


def names_prompt(values: dict[str, Any], endpoint: str) -> bool:
    """Whether there is something to expand. The Responses API has stored prompts of its providers' own, which are left to them."""
    return endpoint == CHAT and values.get("prompt") is not None


def expand_prompt(values: dict[str, Any], *, find: Callable[[str, int | None], PublishedPrompt], most_bytes: int) -> Expanded:
    """PromptUseRefusedError names the place that is wrong."""
    named = values["prompt"]
    if not isinstance(named, dict):
        raise PromptUseRefusedError("invalid_type", 'prompt must be an object, like {"id": "letter", "variables": {}}.', "prompt")
    if unknown := next((key for key in named if key not in _KEYS), None):
        raise PromptUseRefusedError("unknown_parameter", f"prompt has no {unknown[:60]!r}; it says id, version and variables.", "prompt")
    if values.get("messages") is not None and not isinstance(values["messages"], list):
        raise PromptUseRefusedError("invalid_type", "messages must be an array of objects.", "messages")
    try:
        prompt = find(_name(named), _number(named))
        made = make_body(prompt, values, named.get("variables"))
    except PromptUnknownError as unknown_prompt:
        raise PromptUseRefusedError("prompt_not_found", unknown_prompt.message, f"prompt.{unknown_prompt.field}") from unknown_prompt
    except VariableRefusedError as refused:
        param = f"prompt.variables.{refused.name}" if refused.name else "prompt.variables"
        raise PromptUseRefusedError("invalid_value", refused.message, param) from refused
    try:
        body = orjson.dumps(made)
    except orjson.JSONEncodeError as error:
        raise PromptUseRefusedError("invalid_value", f"With its prompt the request can't be written as JSON: {error}.", "prompt") from error
    if len(body) > most_bytes:
        message = f"With its prompt the request has {len(body):,} bytes; {most_bytes:,} at most."
        raise PromptUseRefusedError("request_too_large", message, "prompt")
    return Expanded(made, body, prompt.label)


def _name(named: dict[str, Any]) -> str:
    name = named.get("id")
    if not isinstance(name, str) or not name:
        raise PromptUseRefusedError("missing_required_parameter", "prompt.id must be the name of a prompt.", "prompt.id")
    return name


def _number(named: dict[str, Any]) -> int | None:
    """OpenAI's clients send it as a text."""
    version = named.get("version")
    if version is None:
        return None
    text = str(version) if isinstance(version, int | str) and not isinstance(version, bool) else ""
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS):
        message = "prompt.version must be the number of a version; leave it out for the published one."
        raise PromptUseRefusedError("invalid_value", message, "prompt.version")
    return int(text)
