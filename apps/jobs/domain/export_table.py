"""The table that people download: their columns, and beside them what came of each row."""

from collections.abc import Sequence
from typing import Any

import orjson

from apps.jobs.domain.lifecycle import ItemState

ANSWER_COLUMNS = ("answer", "status", "error", "input_tokens", "output_tokens", "cost_usd")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
_MOST_CHARACTERS = 32_767  # what a cell of a workbook holds


def answer_columns(taken: Sequence[str]) -> list[str]:
    """The names of the columns that are added; one that is taken gets a number."""
    return [_free(name, taken) for name in ANSWER_COLUMNS]


def _free(name: str, taken: Sequence[str]) -> str:
    number, free = 2, name
    while free in taken:
        free, number = f"{name} {number}", number + 1
    return free


def is_like_formula(text: str) -> bool:
    """Whether a spreadsheet would take it for a formula."""
    return text.startswith(_FORMULA_STARTS) and not _is_number(text)


def plain_cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula: what begins like one gets an apostrophe in front. Numbers stay numbers."""
    return f"'{text}" if is_like_formula(text) else text


def workbook_cell(text: str) -> str:
    """As `plain_cell`, cut at what a cell holds, without the control characters that XML has no form for."""
    kept = "".join(character for character in plain_cell(text) if character >= " " or character in "\t\n\r")
    return kept[:_MOST_CHARACTERS]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and "_" not in text


def answer_text(content: bytes | None) -> str:
    """What the model said, out of any of the four answer shapes; the whole JSON when it has none of them."""
    if content is None:
        return ""
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError:
        return content.decode("utf-8", "replace")
    text = _text_of(body) if isinstance(body, dict) else None
    return orjson.dumps(body).decode() if text is None else text


def _text_of(body: dict[str, Any]) -> str | None:
    choices = body.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        message = choices[0].get("message")
        text = message.get("content") if isinstance(message, dict) else choices[0].get("text")
        return text if isinstance(text, str) else None
    output = body.get("output")
    if isinstance(output, list):
        parts = [part.get("text") for entry in output if isinstance(entry, dict) for part in _parts(entry) if isinstance(part, dict)]
        texts = [text for text in parts if isinstance(text, str)]
        return "\n".join(texts) if texts else None
    return None


def _parts(entry: dict[str, Any]) -> list[Any]:
    content = entry.get("content")
    return content if isinstance(content, list) else []


def answer_cells(row: dict[str, Any] | None) -> list[str]:
    """The added cells of a row; `row` is None for one that is no item (yet)."""
    if row is None:
        return ["", "waiting", "", "", "", ""]
    has_ended = row["state"] not in {ItemState.WAITING, ItemState.RUNNING}
    return [
        answer_text(row["answer"]) if row["state"] == ItemState.DONE else "",
        str(row["state"]),
        ": ".join(filter(None, (row["error_code"], row["error_message"]))) if has_ended else "",
        str(row["input_tokens"]) if has_ended else "",
        str(row["output_tokens"]) if has_ended else "",
        f"{row['cost_usd'].normalize():f}" if has_ended else "",
    ]
