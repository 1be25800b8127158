"""OpenAI-compatible endpoints: chat completions, responses, completions, embeddings, each at the provider's same path."""

from typing import Any

import orjson

from apps.providers.domain.answers import Reading, Request, WireAnswer, WireFailure
from apps.providers.domain.calls import Call, Route
from apps.providers.domain.classify import classify_status
from apps.providers.domain.outcomes import Outcome
from apps.providers.domain.retry_after import read_retry_after
from apps.spend.domain.usage import TokenUsage

# More than any real call uses: a larger or negative count is a defect of the provider's, and counts as not reported.
_MOST_TOKENS = 1_000_000_000
_CODE_CHARACTERS = 100
_MESSAGE_CHARACTERS = 2000
_BY_FAILURE = {
    WireFailure.NOT_SENT: Outcome.NOT_SENT,
    WireFailure.CUT: Outcome.AMBIGUOUS,
    WireFailure.TIMED_OUT: Outcome.AMBIGUOUS,
    WireFailure.TOO_LONG: Outcome.AMBIGUOUS,
}


class OpenAIAdapter:
    """Speaks to any endpoint that follows OpenAI's shapes."""

    def write(self, call: Call, route: Route) -> Request:
        body = orjson.loads(call.body)
        if not isinstance(body, dict):
            raise ValueError("The body of a call must be a JSON object.")  # noqa: TRY004 -- as for bytes that are no JSON
        body["model"] = route.upstream_model
        headers = {"Content-Type": "application/json", "X-Client-Request-Id": str(call.run_id)}
        if route.api_key:
            headers["Authorization"] = f"Bearer {route.api_key}"
        return Request(url=route.base_url + call.endpoint.removeprefix("/v1"), body=orjson.dumps(body), headers=headers)

    def read(self, answer: WireAnswer) -> Reading:
        # A failure's status says enough when its body is cut: nothing was answered, so nothing was billed.
        if answer.failure is not None and (answer.status is None or answer.status < 300):
            return Reading(outcome=_BY_FAILURE[answer.failure], error_code=answer.failure.value, error_message=answer.error)
        body = _parse(answer.body)
        if answer.status == 200 and isinstance(body, dict) and not body.get("error"):
            raw = body.get("usage")
            return Reading(outcome=Outcome.OK, usage=_read_usage(raw), raw_usage=raw if isinstance(raw, dict) else None)
        return _read_error(answer, body)


def _parse(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _read_error(answer: WireAnswer, body: Any) -> Reading:
    status = answer.status or 0
    code, kind, message = _error_of(body)
    retry_after = read_retry_after(answer.headers, now=answer.sent_at)
    outcome = classify_status(status, {code, kind}, has_retry_after=retry_after is not None)
    name = code or kind
    if outcome is Outcome.AMBIGUOUS:
        name, message = name or "unreadable_answer", message or f"The provider answered {status} without a usable JSON object."
    return Reading(
        outcome=outcome,
        error_code=name or f"http_{status}",
        error_message=message or f"The provider answered {status}.",
        retry_after_seconds=retry_after,
    )


def _error_of(body: Any) -> tuple[str, str, str]:
    """(code, type, message); servers that are only nearly compatible say `error` as a text, or `message` or `detail` beside nothing."""
    if not isinstance(body, dict):
        return "", "", ""
    error = body.get("error") or {"message": body.get("message") or body.get("detail")}
    if isinstance(error, str):
        error = {"message": error}
    if not isinstance(error, dict):
        return "", "", ""
    return (
        _text(error.get("code"), _CODE_CHARACTERS),
        _text(error.get("type"), _CODE_CHARACTERS),
        _text(error.get("message"), _MESSAGE_CHARACTERS),
    )


def _text(value: Any, most: int) -> str:
    return value[:most] if isinstance(value, str) else ""


def _read_usage(raw: Any) -> TokenUsage | None:
    """Chat and completions say prompt/completion, responses say input/output; cached and reasoning tokens stand inside these."""
    if not isinstance(raw, dict):
        return None
    given = _count(raw, "prompt_tokens", "input_tokens")
    written = _count(raw, "completion_tokens", "output_tokens") or 0
    if given is None:
        return None
    cached = min(given, _detail(raw, ("prompt_tokens_details", "input_tokens_details"), "cached_tokens"))
    reasoning = min(written, _detail(raw, ("completion_tokens_details", "output_tokens_details"), "reasoning_tokens"))
    return TokenUsage(
        input_tokens=given - cached, cached_input_tokens=cached, output_tokens=written - reasoning, reasoning_tokens=reasoning
    )


def _count(raw: dict[str, Any], *names: str) -> int | None:
    for name in names:
        value = raw.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS:
            return value
    return None


def _detail(raw: dict[str, Any], groups: tuple[str, ...], name: str) -> int:
    for group in groups:
        details = raw.get(group)
        if isinstance(details, dict):
            return _count(details, name) or 0
    return 0
