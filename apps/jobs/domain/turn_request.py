"""What a turn of a conversation must look like: as a chat completion with a `conversation_id`, or as a turn of `/api`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.conversations.domain.conflicts import OnConflict
from apps.conversations.domain.state import ReadState, StateUnreadableError, read_state
from apps.jobs.domain.call_request import CallRefusedError, read_object

CONVERSATION, STATE, ON_CONFLICT = "conversation_id", "conversation_state", "on_conflict"
_INSTRUCTS = ("system", "developer")
# What /api takes besides `parameters`, which go to the model as they are.
_NATIVE = frozenset({"input", "model", "stream", "state", "on_conflict", "parameters", "tools"})
_OURS = frozenset({"messages", "prompt", "conversation_id", "conversation_state", "on_conflict", "model", "stream", "input", "tools"})


LONGEST_INSTRUCTIONS = 100_000
LONGEST_SAID = 200_000


@dataclass(frozen=True, slots=True)
class TurnRequest:
    """`text`: what is said, or empty when `results` of the caller's tools come; `rest`: all else of the request, for the model.

    `state_param`: the field that `read` came in.
    """

    text: str
    results: list[dict[str, Any]] | None
    system: str
    rest: dict[str, Any]
    read: ReadState | None
    on_conflict: OnConflict | None
    state_param: str = "state"


def names_conversation(body: bytes) -> dict[str, Any] | None:
    """The body of a chat completion that is a turn of a conversation; most don't say the word, and are not read for it."""
    if b'"conversation_id"' not in body:
        return None
    values = read_object(body)
    named = values.get(CONVERSATION)
    if named is None:
        return None
    if not isinstance(named, str):
        raise CallRefusedError("invalid_type", "conversation_id must be the id of a conversation, as a string.", CONVERSATION)
    return values


def read_chat_turn(values: Mapping[str, Any]) -> TurnRequest:
    """Of the body of a chat completion; CallRefusedError names the place."""
    messages = values.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        raise CallRefusedError("invalid_type", "messages must be an array of objects, and not empty.", "messages")
    if values.get("prompt") is not None:
        message = "A turn of a conversation takes no stored prompt: give the conversation instructions."
        raise CallRefusedError("unsupported_value", message, "prompt")
    _require_tools(values.get("tools"))
    system = "\n\n".join(_text(message, place) for place, message in enumerate(messages) if message.get("role") in _INSTRUCTS)
    said = [(place, message) for place, message in enumerate(messages) if message.get("role") not in _INSTRUCTS]
    rest = {name: value for name, value in values.items() if name not in (CONVERSATION, STATE, ON_CONFLICT, "messages")}
    read, on_conflict = _read(values.get(STATE), STATE), _on_conflict(values.get(ON_CONFLICT))
    return TurnRequest(*_said(said), system=system, rest=rest, read=read, on_conflict=on_conflict, state_param=STATE)


def read_native_turn(values: Mapping[str, Any]) -> TurnRequest:
    """Of the body of `POST /api/conversations/{id}/turns`; CallRefusedError names the field."""
    if strange := [name for name in values if name not in _NATIVE]:
        message = f"There is no field {strange[0][:50]!r}; what is for the model goes into parameters."
        raise CallRefusedError("unknown_parameter", message, strange[0][:50])
    text, parameters = values.get("input"), values.get("parameters")
    if not isinstance(text, str) or not text.strip():
        raise CallRefusedError("missing_required_parameter", "input must be what is said, as a string that isn't empty.", "input")
    if parameters is None:
        parameters = {}
    if not isinstance(parameters, dict):
        raise CallRefusedError("invalid_type", 'parameters must be an object, like {"temperature": 0.2}.', "parameters")
    if taken := sorted(_OURS & set(parameters)):
        raise CallRefusedError("invalid_value", f"parameters can't hold {taken[0]}: that is a field of its own.", f"parameters.{taken[0]}")
    rest = dict(parameters) | {name: values[name] for name in ("model", "stream", "tools") if values.get(name) is not None}
    _require_tools(values.get("tools"))
    read = _read(values.get("state"), "state")
    return TurnRequest(text, None, system="", rest=rest, read=read, on_conflict=_on_conflict(values.get("on_conflict")))


def _require_tools(tools: object) -> None:
    if tools is not None and not (isinstance(tools, list) and all(isinstance(tool, dict) for tool in tools)):
        raise CallRefusedError("invalid_type", "tools must be an array of objects.", "tools")


def _said(said: list[tuple[int, dict[str, Any]]]) -> tuple[str, list[dict[str, Any]] | None]:
    """What the user says, or what the caller's tools came to."""
    roles = {message.get("role") for _, message in said}
    if roles == {"tool"}:
        return "", [_result(place, message) for place, message in said]
    if roles == {"user"}:
        text = "\n\n".join(_text(message, place) for place, message in said)
        if text.strip():
            return text, None
        raise CallRefusedError("invalid_value", "The message of the user is empty.", f"messages.{said[0][0]}.content")
    message = (
        "A turn brings what is new alone: messages of the user, or of the caller's tools (role tool). "
        "The conversation knows what was said before."
    )
    raise CallRefusedError("invalid_value", message, "messages")


def _text(message: Mapping[str, Any], place: int) -> str:
    content = message.get("content")
    if isinstance(content, list) and all(isinstance(part, dict) and part.get("type") == "text" for part in content):
        content = "".join(str(part.get("text", "")) for part in content)
    if not isinstance(content, str):
        raise CallRefusedError("invalid_type", "Conversations hold texts: content must be a string.", f"messages.{place}.content")
    return content


def _result(place: int, message: Mapping[str, Any]) -> dict[str, Any]:
    call_id = message.get("tool_call_id")
    if not isinstance(call_id, str) or not call_id:
        raise CallRefusedError("missing_required_parameter", "tool_call_id must name the call.", f"messages.{place}.tool_call_id")
    return {"role": "tool", "tool_call_id": call_id, "content": _text(message, place)}


def _read(value: object, name: str) -> ReadState | None:
    if value is None:
        return None
    try:
        return read_state(value)
    except StateUnreadableError as error:
        raise CallRefusedError("invalid_value", f"{name} {error}", name) from error


def _on_conflict(value: object) -> OnConflict | None:
    if value is None:
        return None
    if not isinstance(value, str) or value not in set(OnConflict):
        raise CallRefusedError("invalid_value", f"on_conflict must be one of {', '.join(OnConflict)}.", ON_CONFLICT)
    return OnConflict(value)
