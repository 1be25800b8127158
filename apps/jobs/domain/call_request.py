"""What a single call must look like: its body and headers become a CallRequest, or an error that says what to mend."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from apps.conversations.domain.turns import TurnStart
from apps.jobs.domain.prompt_use import CHAT, Expand, Expanded, PromptUseRefusedError, names_prompt
from apps.jobs.domain.prompt_version import PROMPT_VERSION_HEADER, PROMPT_VERSION_LENGTH, PromptVersionRefusedError, prompt_version_of
from apps.jobs.domain.stream_wish import NOT_STREAMED, StreamWish, stream_wish
from apps.jobs.domain.submission import USD
from apps.jobs.domain.tool_wish import CheckTools, ToolWishRefusedError, names_tools
from apps.lib.json_text import JsonRefusedError, read_json
from apps.providers.domain.contract import ContractRefusedError
from apps.providers.domain.policy import (
    PLAIN,
    USUAL_TIMES,
    AnswerPolicy,
    CacheTimes,
    PolicyRefusedError,
    check_request,
    of_headers,
    read_policy,
)

FEATURE_LENGTH = 64
FEATURE_HEADER = "X-Feature"
MAX_COST_HEADER = "X-Max-Cost-USD"
_END_USER_LENGTH = 255
_MODEL_LENGTH = 200
_USD = re.compile(USD)
# One of these must be there, of one of these kinds, and not empty. A prompt of the Responses API may stand for its input.
_NEEDED: dict[str, dict[str, tuple[type, ...]]] = {
    "/v1/chat/completions": {"messages": (list,)},
    "/v1/completions": {"prompt": (str, list)},
    "/v1/embeddings": {"input": (str, list)},
    "/v1/responses": {"input": (str, list), "prompt": (dict,)},
}
_KINDS: dict[type, str] = {str: "a string", list: "an array", dict: "an object"}


class CallRefusedError(Exception):
    """The request can't be taken; `param` names the place in the body, or the header."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.param = code, message, param


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and pays. Without a key: a person in the back office."""

    workspace_id: UUID
    api_key_id: UUID | None


@dataclass(frozen=True, slots=True)
class CallRequest:
    """A good request. `body` is what the caller sent, byte for byte, or what a stored prompt or a conversation made of it.

    `has_tools`: it asks for tools of the platform's, so that its answer may take several calls.
    """

    endpoint: str
    model: str
    end_user: str
    feature: str
    max_cost_usd: Decimal | None
    body: bytes
    policy: AnswerPolicy = PLAIN
    prompt_version: str = ""
    streams: StreamWish = NOT_STREAMED
    turn: TurnStart | None = None
    has_tools: bool = False


def read_call(
    body: bytes,
    *,
    endpoint: str,
    headers: Mapping[str, str],
    times: CacheTimes = USUAL_TIMES,
    expand: Expand | None = None,
    check_tools: CheckTools | None = None,
) -> CallRequest:
    """Judge one request; CallRefusedError names what is wrong with it.

    `expand` knows the prompts that it may name, `check_tools` the platform's tools.
    """
    values = read_object(body)
    expanded = _expand(values, expand) if expand and names_prompt(values, endpoint) else None
    if expanded:
        values, body = expanded.values, expanded.body
    model = values.get("model")
    if not isinstance(model, str) or not model:
        raise CallRefusedError("missing_required_parameter", "You must provide a model parameter, as a string.", "model")
    if len(model) > _MODEL_LENGTH:
        raise CallRefusedError("string_above_max_length", f"model has more than {_MODEL_LENGTH} characters.", "model")
    _check_needed(values, _NEEDED[endpoint])
    _check_stream(values, endpoint)
    policy = _policy(values, endpoint, headers, times)
    has_tools = names_tools(values)
    if has_tools and check_tools:
        _check_tools(values, body, endpoint, policy, check_tools)
    return CallRequest(
        endpoint=endpoint,
        model=model,
        end_user=_end_user(values),
        feature=_feature(headers),
        max_cost_usd=_max_cost_usd(headers),
        body=body,
        policy=policy,
        prompt_version=expanded.prompt_version if expanded else _prompt_version(values, headers),
        streams=stream_wish(values),
        has_tools=has_tools,
    )


def _check_tools(values: dict[str, Any], body: bytes, endpoint: str, policy: AnswerPolicy, check: CheckTools) -> None:
    try:
        check(values, body, endpoint, policy)
    except ToolWishRefusedError as refused:
        raise CallRefusedError("invalid_value", refused.message, refused.param) from refused


def _expand(values: dict[str, Any], expand: Expand) -> Expanded:
    try:
        return expand(values)
    except PromptUseRefusedError as refused:
        raise CallRefusedError(refused.code, refused.message, refused.param) from refused


def _policy(values: dict[str, Any], endpoint: str, headers: Mapping[str, str], times: CacheTimes) -> AnswerPolicy:
    try:
        policy = read_policy(of_headers(headers), endpoint=endpoint, times=times)
        check_request(policy, values, endpoint=endpoint)
    except (PolicyRefusedError, ContractRefusedError) as refused:
        raise CallRefusedError("invalid_value", refused.message, refused.param) from refused
    return policy


def read_object(body: bytes) -> dict[str, Any]:
    """CallRefusedError for a body that is no JSON object."""
    try:
        values = read_json(body)
    except JsonRefusedError as refused:
        raise CallRefusedError("invalid_json", refused.message, refused.place) from refused
    if not isinstance(values, dict):
        raise CallRefusedError("invalid_type", "The body must be a JSON object.")
    return values


def _check_needed(values: dict[str, Any], needed: dict[str, tuple[type, ...]]) -> None:
    there = [name for name in needed if values.get(name) not in (None, "", [], {})]
    if not there:
        raise CallRefusedError("missing_required_parameter", f"{' or '.join(needed)} is missing or empty.", next(iter(needed)))
    if not any(isinstance(values[name], needed[name]) for name in there):
        kinds = " or ".join(_KINDS[kind] for kind in needed[there[0]])
        raise CallRefusedError("invalid_type", f"{there[0]} must be {kinds}.", there[0])
    if "messages" in there and not all(isinstance(message, dict) for message in values["messages"]):
        raise CallRefusedError("invalid_type", "messages must be an array of objects.", "messages")


def _check_stream(values: dict[str, Any], endpoint: str) -> None:
    if values.get("stream") is not None and not isinstance(values["stream"], bool):
        raise CallRefusedError("invalid_type", "stream must be true or false.", "stream")
    if values.get("stream") and endpoint != CHAT:
        message = f"Streaming is offered on {CHAT} alone: leave out stream or set it to false."
        raise CallRefusedError("unsupported_value", message, "stream")
    options = values.get("stream_options")
    if options is None:
        return
    if not values.get("stream"):
        raise CallRefusedError("invalid_value", "stream_options are for a streamed answer: set stream to true.", "stream_options")
    if not isinstance(options, dict) or not isinstance(options.get("include_usage", False), bool):
        message = 'stream_options must be an object, like {"include_usage": true}.'
        raise CallRefusedError("invalid_type", message, "stream_options")


def _end_user(values: dict[str, Any]) -> str:
    user = values.get("safety_identifier") or values.get("user")
    return user[:_END_USER_LENGTH] if isinstance(user, str) else ""


def _feature(headers: Mapping[str, str]) -> str:
    feature = headers.get(FEATURE_HEADER, "").strip()
    if len(feature) > FEATURE_LENGTH:
        message = f"The header {FEATURE_HEADER} has {len(feature)} characters; {FEATURE_LENGTH} at most."
        raise CallRefusedError("invalid_value", message, FEATURE_HEADER)
    return feature


def _prompt_version(values: dict[str, Any], headers: Mapping[str, str]) -> str:
    said = headers.get(PROMPT_VERSION_HEADER, "").strip()
    if len(said) > PROMPT_VERSION_LENGTH:
        message = f"The header {PROMPT_VERSION_HEADER} has {len(said)} characters; {PROMPT_VERSION_LENGTH} at most."
        raise CallRefusedError("invalid_value", message, PROMPT_VERSION_HEADER)
    try:
        return prompt_version_of(values, said)
    except PromptVersionRefusedError as refused:
        raise CallRefusedError("invalid_value", str(refused), "metadata.prompt_version") from refused


def _max_cost_usd(headers: Mapping[str, str]) -> Decimal | None:
    text = headers.get(MAX_COST_HEADER)
    if text is None:
        return None
    # An empty one is refused, too: it would let a call cost what it likes whose caller meant to bound it.
    text = text.strip()
    if not _USD.fullmatch(text):
        message = f"The header {MAX_COST_HEADER} must be US dollars as a decimal below 100 million, like 0.05; not {text[:40]!r}."
        raise CallRefusedError("invalid_value", message, MAX_COST_HEADER)
    return Decimal(text)
