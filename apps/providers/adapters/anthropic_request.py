"""From OpenAI's chat completion request to Anthropic's. What has no counterpart there is refused by name, never left out."""

from collections.abc import Callable, Mapping
from typing import Any

from apps.providers.adapters.anthropic_messages import write_messages
from apps.providers.adapters.refusing import is_number, refuse, text_of

_PLAIN_NUMBERS = ("top_p", "top_k")
# Fields that ask for nothing when they have one of these values; null asks for nothing anywhere.
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
    "logprobs": (False,),
    "modalities": (["text"],),
    "n": (1,),
    "store": (False,),
}
# What the platform itself reads from a request: labels that are no matter of the provider's.
_OURS = ("model", "metadata")
_TIERS = {"auto": "auto", "default": "standard_only"}
_CHOICES = {"auto": {"type": "auto"}, "none": {"type": "none"}, "required": {"type": "any"}}


def write_messages_request(asked: Mapping[str, Any], *, upstream_model: str, max_output_tokens: int) -> dict[str, Any]:
    """The body of POST /v1/messages. ValueError names the field that can't be said there."""
    given = {name: value for name, value in asked.items() if value is not None and name not in _OURS}
    body: dict[str, Any] = {"model": upstream_model, "max_tokens": _max_tokens(given, max_output_tokens)}
    body["system"], body["messages"] = write_messages(given.get("messages"))
    for name, value in given.items():
        if name in _WRITERS:
            _WRITERS[name](body, value)
        elif name not in _READ_ABOVE and not _is_neutral(name, value):
            refuse(name, "can't be asked of a provider of the kind anthropic")
    _write_tool_choice(body, given)
    if not body["system"]:
        del body["system"]
    return body


def _is_neutral(name: str, value: Any) -> bool:
    return any(value == neutral and isinstance(value, bool) == isinstance(neutral, bool) for neutral in _NEUTRAL.get(name, ()))


def _max_tokens(given: Mapping[str, Any], max_output_tokens: int) -> int:
    """Required there. The caller's limit, in its new name or its old one; else the model's."""
    for name in ("max_completion_tokens", "max_tokens"):
        if name in given:
            value = given[name]
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                refuse(name, "must be a whole number above 0")
            return value
    return max_output_tokens


def _write_temperature(body: dict[str, Any], value: Any) -> None:
    """OpenAI's goes up to 2, Anthropic's to 1."""
    if not is_number(value):
        refuse("temperature", "must be a number")
    body["temperature"] = min(max(value, 0), 1)


def _write_stop(body: dict[str, Any], value: Any) -> None:
    sequences = [value] if isinstance(value, str) else value
    if not isinstance(sequences, list):
        refuse("stop", "must be a text or a list of texts")
    if sequences:
        body["stop_sequences"] = [text_of(entry, "stop") for entry in sequences]


def _write_user(body: dict[str, Any], value: Any) -> None:
    body.setdefault("metadata", {"user_id": text_of(value, "user")})


def _write_service_tier(body: dict[str, Any], value: Any) -> None:
    if not isinstance(value, str) or value not in _TIERS:
        refuse("service_tier", f"can only be {' or '.join(_TIERS)} at a provider of the kind anthropic")
    body["service_tier"] = _TIERS[value]


def _write_response_format(body: dict[str, Any], value: Any) -> None:
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "text":
        return
    schema = value.get("json_schema") if kind == "json_schema" else None
    if not isinstance(schema, dict) or not isinstance(schema.get("schema"), dict):
        refuse("response_format", "can only be text, or json_schema with a schema, at a provider of the kind anthropic")
    body["output_config"] = {"format": {"type": "json_schema", "schema": schema["schema"]}}


def _write_tools(body: dict[str, Any], value: Any) -> None:
    if not isinstance(value, list):
        refuse("tools", "must be a list")
    if value:
        body["tools"] = [_tool(tool, f"tools[{number}]") for number, tool in enumerate(value)]


def _tool(tool: Any, where: str) -> dict[str, Any]:
    function = tool.get("function") if isinstance(tool, dict) and tool.get("type") == "function" else None
    if not isinstance(function, dict):
        refuse(where, "must be of the type function")
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    if not isinstance(parameters, dict):
        refuse(f"{where}.function.parameters", "must be a JSON schema")
    written: dict[str, Any] = {"name": text_of(function.get("name"), f"{where}.function.name"), "input_schema": parameters}
    if function.get("description") is not None:
        written["description"] = text_of(function["description"], f"{where}.function.description")
    if function.get("strict"):
        written["strict"] = True
    if unknown := set(function) - {"name", "description", "parameters", "strict"}:
        refuse(f"{where}.function.{min(unknown)}", "can't be asked of a provider of the kind anthropic")
    return written


def _write_tool_choice(body: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Whether several tools may be called at once is part of the choice there."""
    choice, parallel = given.get("tool_choice"), given.get("parallel_tool_calls", True)
    if not isinstance(parallel, bool):
        refuse("parallel_tool_calls", "must be true or false")
    written = None if choice is None else _choice(choice)
    if "tools" not in body:
        if written and written["type"] in {"any", "tool"}:
            refuse("tool_choice", "asks for a tool, but there are no tools")
        return
    if not parallel and (written or _CHOICES["auto"])["type"] != "none":
        written = {**(written or _CHOICES["auto"]), "disable_parallel_tool_use": True}
    if written:
        body["tool_choice"] = written


def _choice(choice: Any) -> dict[str, Any]:
    if isinstance(choice, str) and choice in _CHOICES:
        return _CHOICES[choice]
    function = choice.get("function") if isinstance(choice, dict) and choice.get("type") == "function" else None
    if not isinstance(function, dict):
        refuse("tool_choice", f"must be {', '.join(_CHOICES)} or name a function")
    return {"type": "tool", "name": text_of(function.get("name"), "tool_choice.function.name")}


def _write_number(name: str) -> Callable[[dict[str, Any], Any], None]:
    def write(body: dict[str, Any], value: Any) -> None:
        if not is_number(value):
            refuse(name, "must be a number")
        body[name] = value

    return write


_WRITERS: dict[str, Callable[[dict[str, Any], Any], None]] = {
    "temperature": _write_temperature,
    "stop": _write_stop,
    "tools": _write_tools,
    "safety_identifier": _write_user,
    "user": _write_user,
    "service_tier": _write_service_tier,
    "response_format": _write_response_format,
    **{name: _write_number(name) for name in _PLAIN_NUMBERS},
}
_READ_ABOVE = ("messages", "max_tokens", "max_completion_tokens", "tool_choice", "parallel_tool_calls")
