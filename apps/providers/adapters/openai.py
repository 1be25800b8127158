"""OpenAI-compatible endpoints: chat completions, responses, completions, embeddings, each at the provider's same path."""

from typing import Any

from apps.providers.adapters.reading import DOUBTFUL_USAGE, count, error_of, is_doubtful, parse, read_error, read_failure
from apps.providers.adapters.refusing import dump, load_object
from apps.providers.domain.answers import Reading, Request, WireAnswer
from apps.providers.domain.calls import Call, Route
from apps.providers.domain.outcomes import Outcome
from apps.spend.domain.usage import TokenUsage

_COUNTS = ("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens")


class OpenAIAdapter:
    """Speaks to any endpoint that follows OpenAI's shapes."""

    def write(self, call: Call, route: Route) -> Request:
        body = load_object(call.body)
        body["model"] = route.upstream_model
        headers = {"Content-Type": "application/json", "X-Client-Request-Id": str(call.run_id)}
        if route.api_key:
            headers["Authorization"] = f"Bearer {route.api_key}"
        return Request(url=route.base_url + call.endpoint.removeprefix("/v1"), body=dump(body), headers=headers)

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
                usage=_read_usage(raw),
                raw_usage=raw if isinstance(raw, dict) else None,
                note=DOUBTFUL_USAGE if is_doubtful(raw, *_COUNTS) or _read_usage(raw) is None else "",
                shape=shape,
            )
        return read_error(answer, *error_of(body))


def _shape(body: dict[str, Any]) -> str:
    """Choices, vectors or a response's output; empty when there is no answer. Only a response may be without any: it may have reasoned."""
    for name in ("choices", "data"):
        if name in body:
            entries = body[name]
            return name if isinstance(entries, list) and entries and all(isinstance(entry, dict) for entry in entries) else ""
    return "output" if isinstance(body.get("output"), list) else ""


def _read_usage(raw: Any) -> TokenUsage | None:
    """Chat and completions say prompt/completion, responses say input/output; cached and reasoning tokens stand inside these."""
    if not isinstance(raw, dict):
        return None
    given = count(raw, "prompt_tokens", "input_tokens")
    written = count(raw, "completion_tokens", "output_tokens") or 0
    if given is None:
        return None
    cached = min(given, _detail(raw, ("prompt_tokens_details", "input_tokens_details"), "cached_tokens"))
    reasoning = min(written, _detail(raw, ("completion_tokens_details", "output_tokens_details"), "reasoning_tokens"))
    return TokenUsage(
        input_tokens=given - cached, cached_input_tokens=cached, output_tokens=written - reasoning, reasoning_tokens=reasoning
    )


def _detail(raw: dict[str, Any], groups: tuple[str, ...], name: str) -> int:
    for group in groups:
        details = raw.get(group)
        if isinstance(details, dict):
            return count(details, name) or 0
    return 0
