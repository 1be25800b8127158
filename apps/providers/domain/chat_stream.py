"""A chat completion that comes in chunks: put together again, and cut into chunks anew."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

_HEAD = ("id", "created", "model", "system_fingerprint", "service_tier")
_MOST_CHOICES = 128
_MOST_TOOL_CALLS = 1024
_FUNCTION = ("name", "arguments")


class StreamBrokenError(Exception):
    """What comes is no stream of a chat completion, or tells of an error; the text says which."""


def written(value: Mapping[str, Any]) -> bytes:
    """As JSON; StreamBrokenError for what a provider nested deeper than can be written."""
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError as error:
        msg = "A piece of the streamed answer is nested too deep."
        raise StreamBrokenError(msg) from error


@dataclass(slots=True)
class _Choice:
    """What has come of one choice."""

    role: str = "assistant"
    texts: dict[str, list[str]] = field(default_factory=dict)
    tool_calls: dict[int, dict[str, Any]] = field(default_factory=dict)
    logprobs: dict[str, list[Any]] = field(default_factory=dict)
    finish_reason: str | None = None


class ChatAssembly:
    """The chunks so far; every value is the provider's, so none is trusted to have its type."""

    def __init__(self) -> None:
        self._head: dict[str, Any] = {}
        self._choices: dict[int, _Choice] = {}
        self._usage: dict[str, Any] | None = None

    def add(self, chunk: Mapping[str, Any]) -> None:
        """StreamBrokenError for what is no chunk."""
        for name in _HEAD:
            if chunk.get(name) is not None:
                self._head.setdefault(name, chunk[name])
        if isinstance(chunk.get("usage"), dict):
            self._usage = chunk["usage"]
        choices = chunk.get("choices")
        if choices is None:
            return
        if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
            raise StreamBrokenError("A chunk's choices are no list of objects.")
        for choice in choices:
            self._add_choice(choice)

    def _add_choice(self, told: Mapping[str, Any]) -> None:
        choice = self._choices.setdefault(_index(told, _MOST_CHOICES), _Choice())
        # Some providers say "" until they are done.
        if isinstance(told.get("finish_reason"), str) and told["finish_reason"]:
            choice.finish_reason = told["finish_reason"]
        for name, entries in _object(told, "logprobs").items():
            if isinstance(entries, list):
                choice.logprobs.setdefault(name, []).extend(entries)
        for name, value in _object(told, "delta").items():
            if name == "role":
                choice.role = value if isinstance(value, str) else choice.role
            elif isinstance(value, str):
                choice.texts.setdefault(name, []).append(value)
            elif name == "tool_calls" and isinstance(value, list):
                for call in value:
                    _add_tool_call(choice.tool_calls, call)

    @property
    def texts(self) -> dict[int, str]:
        """What each choice has said so far."""
        return {index: "".join(choice.texts.get("content", ())) for index, choice in self._choices.items()}

    @property
    def has_tool_calls(self) -> bool:
        return any(choice.tool_calls for choice in self._choices.values())

    def whole(self) -> dict[str, Any] | None:
        """The completion, as it would have come in one piece; None while one of its choices has no end."""
        if not self._choices or any(choice.finish_reason is None for choice in self._choices.values()):
            return None
        completion = {"object": "chat.completion", **self._head}
        completion["choices"] = [_written(index, choice) for index, choice in sorted(self._choices.items())]
        return completion | ({"usage": self._usage} if self._usage is not None else {})


def _index(told: Any, most: int) -> int:
    index = told.get("index", 0) if isinstance(told, dict) else None
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < most:
        raise StreamBrokenError("A chunk counts what it brings by no index.")
    return index


def _object(told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = told.get(name)
    return value if isinstance(value, dict) else {}


def _add_tool_call(calls: dict[int, dict[str, Any]], told: Any) -> None:
    call = calls.setdefault(_index(told, _MOST_TOOL_CALLS), {"id": "", "type": "function", "function": dict.fromkeys(_FUNCTION, "")})
    for name in ("id", "type"):
        # Some providers say it once, and that it is empty in each later piece.
        if isinstance(told.get(name), str) and told[name]:
            call[name] = told[name]
    function = _object(told, "function")
    for name in _FUNCTION:
        if isinstance(function.get(name), str):
            call["function"][name] += function[name]


def _written(index: int, choice: _Choice) -> dict[str, Any]:
    message: dict[str, Any] = {"role": choice.role, "content": None, "refusal": None}
    message |= {name: "".join(pieces) for name, pieces in choice.texts.items()}
    if choice.tool_calls:
        message["tool_calls"] = [call for _, call in sorted(choice.tool_calls.items())]
    return {"index": index, "message": message, "logprobs": choice.logprobs or None, "finish_reason": choice.finish_reason}


def split_completion(completion: Mapping[str, Any], said: Mapping[int, str]) -> list[dict[str, Any]] | None:
    """Chunks that bring what is still missing of a whole completion: `said` is what each choice has said already.

    The last one has the usage and no choices. None when the completion says something else than what was said.
    """
    head = {"object": "chat.completion.chunk", **{name: completion[name] for name in _HEAD if name in completion}}
    choices = [choice for choice in completion.get("choices") or () if isinstance(choice, dict)]
    deltas = [_rest(choice, said.get(choice.get("index", 0), "")) for choice in choices]
    if any(delta is None for delta in deltas):
        return None
    chunks = [
        {**head, "choices": [{"index": choice.get("index", 0), "delta": delta, "logprobs": choice.get("logprobs"), "finish_reason": None}]}
        for choice, delta in zip(choices, deltas, strict=True)
        if delta
    ]
    chunks += [
        {**head, "choices": [{"index": choice.get("index", 0), "delta": {}, "finish_reason": choice.get("finish_reason") or "stop"}]}
        for choice in choices
    ]
    return [*chunks, {**head, "choices": [], "usage": completion.get("usage")}]


def _rest(choice: Mapping[str, Any], said: str) -> dict[str, Any] | None:
    message = _object(choice, "message")
    content = message.get("content")
    text = content if isinstance(content, str) else ""
    if not text.startswith(said):
        return None
    delta = {name: value for name, value in message.items() if value is not None and name not in ("content", "tool_calls")}
    if said:
        delta = {}
    if text[len(said) :] or not said:
        delta["content"] = text[len(said) :] if isinstance(content, str) else None
    if calls := message.get("tool_calls"):
        delta["tool_calls"] = [{"index": number, **call} for number, call in enumerate(calls)]
    return delta


def without_usage(chunks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """As they are told to who did not ask for the usage."""
    kept = [{name: value for name, value in chunk.items() if name != "usage"} for chunk in chunks]
    return [chunk for chunk, before in zip(kept, chunks, strict=True) if chunk.get("choices") or "usage" not in before]
