"""A conversation in OpenAI's words, told in Anthropic's: system texts apart, tool results inside the user's turn, turns that alternate."""

import re
from typing import Any

import orjson

from apps.providers.adapters.refusing import refuse, text_of

_DATA_URL = re.compile(r"data:(image/(?:jpeg|png|gif|webp));base64,([A-Za-z0-9+/=\s]+)", re.ASCII)
_NOT_THERE = "can't be said to a provider of the kind anthropic"
_KEYS = {
    "system": {"role", "content"},
    "user": {"role", "content"},
    "assistant": {"role", "content", "tool_calls"},
    "tool": {"role", "content", "tool_call_id"},
}
_KEYS["developer"] = _KEYS["system"]

Block = dict[str, Any]


def write_messages(messages: Any) -> tuple[list[Block], list[dict[str, Any]]]:
    """(system, messages). System texts stand before the conversation there, wherever they stood; neighbours of one role become one turn."""
    if not isinstance(messages, list) or not messages:
        refuse("messages", "must be a list that holds something")
    system: list[Block] = []
    turns: list[dict[str, Any]] = []
    for number, message in enumerate(messages):
        where = f"messages[{number}]"
        role = message.get("role") if isinstance(message, dict) else None
        if not isinstance(role, str) or role not in _KEYS:
            refuse(f"{where}.role", f"must be one of {', '.join(_KEYS)}")
        _refuse_other_keys(message, _KEYS[role], where)
        if role in {"system", "developer"}:
            system += _texts(message.get("content"), f"{where}.content")
            continue
        written_role = "assistant" if role == "assistant" else "user"
        blocks = {"user": _user, "assistant": _assistant, "tool": _tool_result}[role](message, where)
        if turns and turns[-1]["role"] == written_role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": written_role, "content": blocks})
    if not turns:
        refuse("messages", "must hold a message that is not the system's")
    return system, turns


def _refuse_other_keys(message: dict[str, Any], known: set[str], where: str) -> None:
    """Keys without a value (`"refusal": null`, `"annotations": []`) are how answers come back; they say nothing."""
    for name, value in message.items():
        if name not in known and value not in (None, [], {}, ""):
            refuse(f"{where}.{name}", _NOT_THERE)


def _user(message: dict[str, Any], where: str) -> list[Block]:
    return _some(_blocks(message.get("content"), f"{where}.content", may_hold_images=True), f"{where}.content")


def _assistant(message: dict[str, Any], where: str) -> list[Block]:
    content, calls = message.get("content"), message.get("tool_calls") or []
    if not isinstance(calls, list):
        refuse(f"{where}.tool_calls", "must be a list")
    said = [] if content is None else _blocks(content, f"{where}.content")
    return _some(said + [_tool_use(call, f"{where}.tool_calls[{number}]") for number, call in enumerate(calls)], f"{where}.content")


def _some(blocks: list[Block], where: str) -> list[Block]:
    if not blocks:
        refuse(where, "must hold something: a provider of the kind anthropic takes no empty message")
    return blocks


def _tool_use(call: Any, where: str) -> Block:
    function = call.get("function") if isinstance(call, dict) and call.get("type", "function") == "function" else None
    if not isinstance(function, dict):
        refuse(where, "must be of the type function")
    try:
        arguments = orjson.loads(text_of(function.get("arguments"), f"{where}.function.arguments") or "{}")
    except orjson.JSONDecodeError:
        arguments = None
    if not isinstance(arguments, dict):
        refuse(f"{where}.function.arguments", "must be a JSON object as a text")
    name = text_of(function.get("name"), f"{where}.function.name")
    return {"type": "tool_use", "id": text_of(call.get("id"), f"{where}.id"), "name": name, "input": arguments}


def _tool_result(message: dict[str, Any], where: str) -> list[Block]:
    call_id = text_of(message.get("tool_call_id"), f"{where}.tool_call_id")
    result: Block = {"type": "tool_result", "tool_use_id": call_id}
    if content := _texts(message.get("content"), f"{where}.content"):
        result["content"] = content
    return [result]


def _texts(content: Any, where: str) -> list[Block]:
    return _blocks(content, where)


def _blocks(content: Any, where: str, *, may_hold_images: bool = False) -> list[Block]:
    """Blocks of a text or of parts. Empty texts are left out: they say nothing, and Anthropic refuses them."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    if not isinstance(content, list):
        refuse(where, "must be a text or a list of parts")
    blocks: list[Block] = []
    for number, part in enumerate(content):
        place = f"{where}[{number}]"
        kind = part.get("type") if isinstance(part, dict) else None
        if kind == "text":
            text = text_of(part.get("text"), f"{place}.text")
            blocks += [{"type": "text", "text": text}] if text else []
        elif kind == "image_url" and may_hold_images:
            blocks.append(_image(part.get("image_url"), f"{place}.image_url"))
        else:
            refuse(f"{place}.type", f"{kind!r} {_NOT_THERE} there")
    return blocks


def _image(image: Any, where: str) -> Block:
    if not isinstance(image, dict):
        refuse(where, "must be an object with a url")
    if image.get("detail") not in (None, "auto"):
        refuse(f"{where}.detail", _NOT_THERE)
    url = text_of(image.get("url"), f"{where}.url")
    if url.startswith(("https://", "http://")):
        return {"type": "image", "source": {"type": "url", "url": url}}
    found = _DATA_URL.fullmatch(url)
    if found is None:
        refuse(f"{where}.url", "must be an http address, or a data: URL of a JPEG, PNG, GIF or WebP image in base64")
    return {"type": "image", "source": {"type": "base64", "media_type": found[1], "data": found[2]}}
