"""A prompt with `{{column}}` placeholders, and the request that a row of a table makes of it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from apps.prompts.domain.markup import guard, keep_apart

CHAT = "/v1/chat/completions"
_PLACEHOLDER = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")
_SHOWN = 20
_TOKENS = guard(frozenset())


class PromptRefusedError(Exception):
    """The prompt doesn't fit the table; the text says what to change."""


@dataclass(frozen=True, slots=True)
class TablePrompt:
    """How a row becomes a chat request; also what a job keeps of it, as JSON."""

    model: str
    user: str
    system: str = ""
    temperature: float | None = None
    max_tokens: int | None = None
    sheet: str = ""
    response_format: dict[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def find_placeholders(text: str) -> list[str]:
    """The columns that a prompt names, in order, each once."""
    return list(dict.fromkeys(_PLACEHOLDER.findall(text)))


def check_prompt(prompt: TablePrompt, columns: Sequence[str]) -> None:
    """PromptRefusedError when a placeholder has no column, or the prompt uses none of them."""
    wanted = find_placeholders(prompt.system) + find_placeholders(prompt.user)
    known = ", ".join(columns[:_SHOWN]) + (", ..." if len(columns) > _SHOWN else "")
    for name in wanted:
        if name not in columns:
            raise PromptRefusedError(f"The table has no column {name[:100]!r}. Its columns: {known}.")
    if not wanted:
        raise PromptRefusedError(
            f"The prompt uses no column, so every row would ask the same. Write {{{{column}}}} in it. Columns: {known}."
        )


def fill(text: str, row: Mapping[str, str]) -> str:
    """`text` with each placeholder replaced once: what a cell holds is never read as a placeholder, nor as a control token."""
    made = [""]
    behind = ""
    for place, part in reversed(list(enumerate(_PLACEHOLDER.split(text)))):
        made.append(_TOKENS.escape(row[part], behind) if place % 2 else keep_apart(part, behind))
        behind = made[-1] or behind
    return "".join(reversed(made))


def request_body(prompt: TablePrompt, row: Mapping[str, str]) -> dict[str, Any]:
    """The chat request of one row."""
    messages = [{"role": "system", "content": fill(prompt.system, row)}] if prompt.system.strip() else []
    messages.append({"role": "user", "content": fill(prompt.user, row)})
    body: dict[str, Any] = {"model": prompt.model, "messages": messages}
    if prompt.temperature is not None:
        body["temperature"] = prompt.temperature
    if prompt.max_tokens is not None:
        body["max_tokens"] = prompt.max_tokens
    if prompt.response_format is not None:
        body["response_format"] = prompt.response_format
    return body


def request_line(prompt: TablePrompt, row: Mapping[str, str], *, number: int) -> bytes:
    """The line of a batch file; `number` counts the rows from 1."""
    return orjson.dumps({"custom_id": f"row-{number}", "method": "POST", "url": CHAT, "body": request_body(prompt, row)}) + b"\n"
