"""What a model said, out of an answer in OpenAI's shapes: its texts, and whether it refused or called a tool instead."""

from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Said:
    """One text for each choice."""

    texts: tuple[str, ...] = ()
    is_refused: bool = False
    is_tool_call: bool = False


def read_said(answer: bytes) -> Said:
    """Of a chat completion, a completion or a response; without texts for anything else."""
    try:
        body = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return Said()
    if not isinstance(body, dict):
        return Said()
    if isinstance(body.get("output"), list):
        return _response(body)
    choices = body.get("choices")
    return _choices([choice for choice in choices if isinstance(choice, dict)]) if isinstance(choices, list) else Said()


def _choices(choices: list[dict[str, Any]]) -> Said:
    messages = [message if isinstance(message := choice.get("message"), dict) else {"content": choice.get("text")} for choice in choices]
    return Said(
        texts=tuple(_text(message.get("content")) for message in messages),
        is_refused=any(choice.get("finish_reason") == "content_filter" for choice in choices)
        or any(bool(message.get("refusal")) for message in messages),
        is_tool_call=any(bool(message.get("tool_calls") or message.get("function_call")) for message in messages),
    )


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))
    return content if isinstance(content, str) else ""


def _response(body: dict[str, Any]) -> Said:
    entries = [entry for entry in body["output"] if isinstance(entry, dict)]
    parts = [part for entry in entries if isinstance(content := entry.get("content"), list) for part in content if isinstance(part, dict)]
    details = body.get("incomplete_details")
    is_filtered = isinstance(details, dict) and details.get("reason") == "content_filter"
    return Said(
        texts=("".join(part["text"] for part in parts if isinstance(part.get("text"), str)),),
        is_refused=is_filtered or any(part.get("type") == "refusal" for part in parts),
        is_tool_call=any(str(entry.get("type", "")).endswith("_call") for entry in entries),
    )
