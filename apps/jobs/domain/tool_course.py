"""How far an item has come that calls tools: what was said behind its request, and what its final answer is made of."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

# Of what one call brings, a model is given so much.
MOST_RESULT_BYTES = 16_384
# What is said around a result, and where it was cut.
_AROUND_BYTES = 500
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
# Between what was said in two steps.
JOINT = "\n\n"
_HEAD = ("id", "created")
_CUT = "\n[Cut here: it has {size:,} bytes, of which {kept:,} are shown.]"


@dataclass(frozen=True, slots=True)
class ToolCourse:
    """What earlier runs have left. The last of `messages` asks for tools that have not been answered.

    `seq`: the charge of the answer that asked; `steps`: how many answers have asked; `texts`: what they said beside it; `last_id`:
    the last piece of a streamed answer that went out.
    """

    messages: tuple[dict[str, Any], ...] = ()
    seq: int = 0
    steps: int = 0
    texts: tuple[str, ...] = ()
    usage: dict[str, Any] = field(default_factory=dict)
    head: dict[str, Any] = field(default_factory=dict)
    last_id: str = ""

    @property
    def text(self) -> str:
        """What has been said, as the caller reads it."""
        return JOINT.join(self.texts)

    @property
    def calls(self) -> tuple[Mapping[str, Any], ...]:
        """Those that wait for their results."""
        return tuple(self.messages[-1]["tool_calls"]) if self.messages else ()

    @property
    def most_result_bytes(self) -> int:
        """The most that the results of its calls may come to."""
        return len(self.calls) * (MOST_RESULT_BYTES + _AROUND_BYTES)

    def answered(self, results: Sequence[bytes]) -> "ToolCourse":
        """With the results of all its calls, in their order."""
        told = [
            {"role": "tool", "tool_call_id": call["id"], "content": result.decode("utf-8", "replace")}
            for call, result in zip(self.calls, results, strict=True)
        ]
        return replace(self, messages=(*self.messages[:-1], _sendable(self.messages[-1]), *told))

    def gone_on(self, answer: Mapping[str, Any], *, seq: int, last_id: str) -> "ToolCourse":
        """After one more answer that asks for tools."""
        message = answer["choices"][0]["message"]
        text = _text_of(message)
        said = {"role": "assistant", "content": text or None, "tool_calls": _plain_calls(tool_calls(answer), seq)}
        return ToolCourse(
            messages=(*self.messages, said),
            seq=seq,
            steps=self.steps + 1,
            texts=(*self.texts, text) if text else self.texts,
            usage=add_usage(self.usage, answer.get("usage")),
            head=self.head or {name: answer[name] for name in _HEAD if name in answer},
            last_id=last_id or self.last_id,
        )

    def final(self, answer: Mapping[str, Any], *, has_calls: bool) -> dict[str, Any]:
        """The completion that the caller gets: all that was said, and the usage of all steps. Calls that are not its own are left out."""
        choice = answer["choices"][0]
        message = dict(choice["message"])
        texts = [text for text in (*self.texts, _text_of(message)) if text]
        if texts:
            message["content"] = JOINT.join(texts)
        choice = {**choice, "message": message}
        if not has_calls and message.pop("tool_calls", None):
            choice["finish_reason"] = "stop"
        final = {**answer, **self.head, "choices": [choice, *answer["choices"][1:]]}
        usage = add_usage(self.usage, answer.get("usage"))
        return final | ({"usage": usage} if usage else {})

    def dump(self) -> bytes:
        """As it waits for the next run."""
        return orjson.dumps({name: getattr(self, name) for name in self.__slots__})


def load_course(stored: bytes | None) -> ToolCourse | None:
    """What `dump` has written; None when there is nothing, or it has expired."""
    if stored is None:
        return None
    values = orjson.loads(stored)
    return ToolCourse(**values | {name: tuple(values[name]) for name in ("messages", "texts")})


def read_answer(content: bytes) -> dict[str, Any] | None:
    """A completion with a message in it; None for anything else, which is nothing to go on from."""
    try:
        answer = orjson.loads(content)
        return answer if isinstance(answer["choices"][0]["message"], dict) else None
    except (orjson.JSONDecodeError, KeyError, IndexError, TypeError):
        return None


def tool_calls(answer: Any) -> list[Mapping[str, Any]]:
    """What tools an answer asks for; none when it has not the shape of one."""
    try:
        found = answer["choices"][0]["message"]["tool_calls"]
    except (KeyError, IndexError, TypeError):
        return []
    return [call for call in found if isinstance(call, dict)] if isinstance(found, list) else []


def called_name(call: Mapping[str, Any]) -> str:
    """What the model calls the tool; "unknown" when that is no name."""
    name = _told(call).get("name")
    return name if isinstance(name, str) and _NAME.fullmatch(name) else "unknown"


def read_arguments(call: Mapping[str, Any]) -> tuple[str, Any]:
    """(the text that the model wrote, what it says); None for what is no JSON."""
    text = call["function"]["arguments"]
    try:
        return text, orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        return text, None


def cut_result(result: bytes, most_bytes: int) -> bytes:
    """The beginning of what is longer, with a note."""
    if len(result) <= most_bytes:
        return result
    kept = result[:most_bytes].decode("utf-8", "ignore").encode()
    return kept + _CUT.format(size=len(result), kept=len(kept)).encode()


def add_usage(one: Any, other: Any) -> dict[str, Any]:
    """Counts of two answers together, whatever a provider counts."""
    if not isinstance(one, dict) or not isinstance(other, dict):
        return one if isinstance(one, dict) else other if isinstance(other, dict) else {}
    summed = {**one, **other}
    for name in one.keys() & other.keys():
        if isinstance(one[name], dict) or isinstance(other[name], dict):
            summed[name] = add_usage(one[name], other[name])
        elif _is_count(one[name]) and _is_count(other[name]):
            summed[name] = one[name] + other[name]
    return summed


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _text_of(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    return content if isinstance(content, str) else ""


def _plain_calls(calls: Sequence[Mapping[str, Any]], seq: int) -> list[dict[str, Any]]:
    """As every provider takes them back; every value is a model's, so none is trusted to have its type."""
    return [_plain_call(call, f"call_{seq}_{place}") for place, call in enumerate(calls)]


def _plain_call(call: Mapping[str, Any], usual_id: str) -> dict[str, Any]:
    told = _told(call)
    arguments = told.get("arguments", told.get("input"))
    return {
        "id": call["id"] if isinstance(call.get("id"), str) and call["id"] else usual_id,
        "type": "function",
        "function": {"name": called_name(call), "arguments": arguments if isinstance(arguments, str) else ""},
    }


def _sendable(message: dict[str, Any]) -> dict[str, Any]:
    """Arguments that are no object are taken back by some providers alone; what was wrong with them stands in the result."""
    calls = [
        call if isinstance(read_arguments(call)[1], dict) else {**call, "function": {**call["function"], "arguments": "{}"}}
        for call in message["tool_calls"]
    ]
    return {**message, "tool_calls": calls}


def _told(call: Mapping[str, Any]) -> Mapping[str, Any]:
    kind = call.get("type")
    told = call.get(kind if isinstance(kind, str) else "function")
    return told if isinstance(told, dict) else {}
