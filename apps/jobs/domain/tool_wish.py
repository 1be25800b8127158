"""Which tools of the platform a chat request asks for: `{"type": "platform", "platform": {"name": "search_knowledge", ...}}`."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from apps.jobs.domain.prompt_use import CHAT
from apps.jobs.domain.tool import PinScope, Tool, ToolRefusedError
from apps.providers.domain.policy import KEYS, AnswerPolicy

PLATFORM = "platform"
# So many answers of one item may ask for tools; the next one has to do without. So many calls of one answer are run.
MOST_STEPS = 8
MOST_CALLS = 16
_CALLED = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
# Keys beside a tool's own options.
_NAME, _AS, _PIN = "name", "as", "pin"
_ENOUGH = (None, "auto", "none")


class ToolWishRefusedError(Exception):
    """The tools can't be had so; `param` is the place in the body, empty for the whole of it."""

    def __init__(self, message: str, param: str) -> None:
        super().__init__(message)
        self.message, self.param = message, param


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A tool as one request wants it; `called` is the name that the model knows it by, `place` where the request names it."""

    called: str
    tool: Tool
    options: Mapping[str, Any]
    pin: PinScope | None
    place: str


@dataclass(frozen=True, slots=True)
class ToolWish:
    """The platform's tools of a request, by the names that its model calls, and the names of the caller's own functions."""

    values: Mapping[str, Any]
    uses: Mapping[str, ToolUse]
    own: frozenset[str]

    def asked(self, messages: Sequence[Mapping[str, Any]], *, steps: int) -> dict[str, Any]:
        """The request as a provider gets it after so many steps, with what was said behind its own messages."""
        body = {**self.values, "messages": [*self.values["messages"], *messages], "tools": [*map(self._offered, self.values["tools"])]}
        if steps >= MOST_STEPS:
            body["tool_choice"] = "none"
        elif steps and body.get("tool_choice") not in _ENOUGH:
            # What had to be called has been called: else it would be for ever.
            body["tool_choice"] = "auto"
        return body

    def written(self, messages: Sequence[Mapping[str, Any]], *, steps: int) -> bytes:
        """The same as JSON."""
        return orjson.dumps(self.asked(messages, steps=steps))

    def _offered(self, entry: Mapping[str, Any]) -> Mapping[str, Any]:
        if entry.get("type") != PLATFORM:
            return entry
        use = self.uses[_called(entry[PLATFORM])]
        told = {"name": use.called, "description": use.tool.description, "parameters": use.tool.parameters}
        return {"type": "function", "function": told}


# Of a request: its values, the bytes they stand in, its endpoint, and how it is to be answered. Raises ToolWishRefusedError.
CheckTools = Callable[[Mapping[str, Any], bytes, str, AnswerPolicy], None]


def names_tools(values: Mapping[str, Any]) -> bool:
    """Whether a request asks for a tool of the platform's."""
    tools = values.get("tools")
    return isinstance(tools, list) and any(isinstance(entry, dict) and entry.get("type") == PLATFORM for entry in tools)


def stored_tools(body: bytes | None, find: Callable[[], Mapping[str, Tool]]) -> ToolWish | None:
    """Of a request as it is stored; most don't say the word, and are not read for it. ToolWishRefusedError: a tool is gone since."""
    if body is None or b'"platform"' not in body:
        return None
    values = orjson.loads(body)
    return read_tools(values, find()) if names_tools(values) else None


def read_tools(values: Mapping[str, Any], registry: Mapping[str, Tool]) -> ToolWish:
    """What a request that names tools of the platform's asks for; ToolWishRefusedError names the first place that is wrong."""
    uses: dict[str, ToolUse] = {}
    own: set[str] = set()
    for number, entry in enumerate(values["tools"]):
        place = f"tools.{number}"
        if isinstance(entry, dict) and entry.get("type") == PLATFORM:
            use = _read_use(entry.get(PLATFORM), f"{place}.{PLATFORM}", registry)
            if use.called in uses:
                raise ToolWishRefusedError(f"{use.called!r} stands twice; give one of them another name by 'as'.", f"{place}.{PLATFORM}")
            uses[use.called] = use
        else:
            own.update(_own_names(entry))
    if clash := next((use for use in uses.values() if use.called in own), None):
        message = f"A function of yours is called {clash.called!r}, too; give the platform's tool another name by 'as'."
        raise ToolWishRefusedError(message, f"{clash.place}.{_NAME}")
    return ToolWish(values, uses, frozenset(own))


def require_tools(
    values: Mapping[str, Any], body: bytes, endpoint: str, policy: AnswerPolicy, registry: Mapping[str, Tool]
) -> Sequence[ToolUse]:
    """Those of a request that a caller has sent; ToolWishRefusedError says what can't be had together with them."""
    if endpoint != CHAT:
        raise ToolWishRefusedError(f"Tools of the platform are offered on {CHAT} alone.", "tools")
    if b'"platform"' not in body:
        raise ToolWishRefusedError('Write "platform" without escapes.', "tools")
    if values.get("n") not in (None, 1):
        raise ToolWishRefusedError("With tools of the platform one answer is given: leave out n or set it to 1.", "n")
    for key, is_set in (("cache", policy.cache_seconds), ("output_contract", policy.has_contract), ("first_model", policy.first_model)):
        if is_set:
            raise ToolWishRefusedError(f"Tools of the platform can't be combined with {key} ({KEYS[key]}).", "tools")
    uses = list(read_tools(values, registry).uses.values())
    for use in uses:
        if use.pin is not None:
            raise ToolWishRefusedError("pin is no option of this tool.", f"{use.place}.{_PIN}")
    return uses


def option_refused(use: ToolUse, refused: ToolRefusedError) -> ToolWishRefusedError:
    """An option's error, at its place in the body."""
    return ToolWishRefusedError(f"'{use.place}.{refused.option}' {refused.message}", f"{use.place}.{refused.option}")


def with_pin(values: Mapping[str, Any], pin: PinScope) -> dict[str, Any]:
    """The request with all its retrievals pinned to a state; for a request that was found good, as callers may not pin themselves."""
    said = {"scope": pin.scope, "state_version": pin.state_version, "state": pin.state}
    tools = [{**entry, PLATFORM: {**entry[PLATFORM], _PIN: said}} if entry.get("type") == PLATFORM else entry for entry in values["tools"]]
    return {**values, "tools": tools}


def _read_use(told: Any, place: str, registry: Mapping[str, Tool]) -> ToolUse:
    if not isinstance(told, dict):
        raise ToolWishRefusedError(f'{place} must be an object, like {{"name": "search_knowledge", "collection": "rules"}}.', place)
    name, called = told.get(_NAME), told.get(_AS)
    if not isinstance(name, str) or name not in registry:
        message = f"There is no such tool of the platform: {str(name)[:100]!r}; there are {', '.join(sorted(registry))}."
        raise ToolWishRefusedError(message, f"{place}.{_NAME}")
    if called is not None and not (isinstance(called, str) and _CALLED.fullmatch(called)):
        raise ToolWishRefusedError("'as' must be up to 64 letters, digits, '_' and '-'.", f"{place}.{_AS}")
    options = {key: value for key, value in told.items() if key not in (_NAME, _AS, _PIN)}
    return ToolUse(_called(told), registry[name], options, _read_pin(told, place), place)


def _called(told: Mapping[str, Any]) -> str:
    return str(told.get(_AS) or told[_NAME])


def _read_pin(told: Mapping[str, Any], place: str) -> PinScope | None:
    if _PIN not in told:
        return None
    pin = told[_PIN]
    if not isinstance(pin, dict) or not isinstance(pin.get("scope"), str) or not isinstance(pin.get("state_version"), int):
        raise ToolWishRefusedError("pin is no option of this tool.", f"{place}.{_PIN}")
    # Requests that were stored by earlier releases name no state.
    return PinScope(pin["scope"], pin["state_version"], str(pin.get("state", "")))


def _own_names(entry: Any) -> list[str]:
    """What the model knows a tool of the caller's by."""
    told = entry.get(entry.get("type")) if isinstance(entry, dict) and isinstance(entry.get("type"), str) else None
    name = told.get("name") if isinstance(told, dict) else None
    return [name] if isinstance(name, str) else []
