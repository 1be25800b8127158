"""OpenAI-compatible endpoints: chat completions, responses, completions, embeddings, each at the provider's same path."""

import re
from datetime import datetime
from typing import Any

from apps.providers.adapters.openai_stream import ChatStream
from apps.providers.adapters.openai_usage import read_usage
from apps.providers.adapters.reading import DOUBTFUL_USAGE, error_of, is_doubtful, parse, read_error, read_failure
from apps.providers.adapters.refusing import dump, load_object
from apps.providers.domain.answers import Reading, Request, WireAnswer
from apps.providers.domain.calls import Call, Route
from apps.providers.domain.outcomes import Outcome
from apps.spend.domain.usage import TokenUsage

_REASONS = re.compile(r"(openai/)?(o\d|gpt-[5-9])")
_COUNTS = ("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens")


class OpenAIAdapter:
    """Speaks to any endpoint that follows OpenAI's shapes."""

    is_cached_free = False

    def read_usage(self, raw: Any) -> TokenUsage | None:
        return read_usage(raw)

    def write(self, call: Call, route: Route) -> Request:
        body = load_object(call.body)
        body["model"] = route.upstream_model
        _ask_for_stream(body, is_streamed=call.is_streamed)
        if call.must_be_bounded and (name := _limit_name(call.endpoint, route.upstream_model)):
            body[name] = route.max_output_tokens
        headers = {"Content-Type": "application/json", "X-Client-Request-Id": str(call.run_id)}
        if route.api_key:
            headers["Authorization"] = f"Bearer {route.api_key}"
        return Request(url=route.base_url + call.endpoint.removeprefix("/v1"), body=dump(body), headers=headers)

    def open_stream(self, call: Call, *, now: datetime) -> ChatStream:  # noqa: ARG002 -- its chunks say when they were made
        return ChatStream(has_usage=call.is_usage_told)

    def read(self, answer: WireAnswer) -> Reading:
        if failed := read_failure(answer):
            return failed
        body = parse(answer.body)
        if answer.status == 200 and isinstance(body, dict) and not body.get("error"):
            shape = _shape(body)
            if not shape:
                return Reading(outcome=Outcome.AMBIGUOUS, error_code="empty_answer", error_message="The provider answered nothing.")
            raw = body.get("usage")
            return Reading(
                outcome=Outcome.OK,
                usage=read_usage(raw),
                raw_usage=raw if isinstance(raw, dict) else None,
                note=DOUBTFUL_USAGE if is_doubtful(raw, *_COUNTS) or read_usage(raw) is None else "",
                shape=shape,
            )
        return read_error(answer, *error_of(body))


def _ask_for_stream(body: dict[str, Any], *, is_streamed: bool) -> None:
    """The usage always comes with it: what is charged hangs on that."""
    if is_streamed:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    else:
        body.pop("stream", None)
        body.pop("stream_options", None)


def _limit_name(endpoint: str, upstream_model: str) -> str | None:
    """What bounds an answer there. Models that reason refuse the older name, and other servers don't know the newer one."""
    if endpoint == "/v1/chat/completions":
        return "max_completion_tokens" if _REASONS.match(upstream_model) else "max_tokens"
    return {"/v1/completions": "max_tokens", "/v1/responses": "max_output_tokens"}.get(endpoint)


def _shape(body: dict[str, Any]) -> str:
    """Choices, vectors or a response's output; empty when there is no answer. Only a response may be without any: it may have reasoned."""
    for name in ("choices", "data"):
        if name in body:
            entries = body[name]
            return name if isinstance(entries, list) and entries and all(isinstance(entry, dict) for entry in entries) else ""
    return "output" if isinstance(body.get("output"), list) else ""
