"""What all adapters read alike: failures of the wire, errors, and counts that a provider may have made up."""

from typing import Any

import orjson

from apps.providers.domain.answers import Reading, WireAnswer, WireFailure
from apps.providers.domain.classify import classify_status
from apps.providers.domain.outcomes import Outcome
from apps.providers.domain.retry_after import read_retry_after

# More than any real call uses: a larger or negative count is a defect of the provider's, and counts as not reported.
_MOST_TOKENS = 20_000_000
_CODE_CHARACTERS = 100
_MESSAGE_CHARACTERS = 2000
_BY_FAILURE = {
    WireFailure.NOT_SENT: Outcome.NOT_SENT,
    WireFailure.OURS: Outcome.NOT_SENT,
    WireFailure.CUT: Outcome.AMBIGUOUS,
    WireFailure.TIMED_OUT: Outcome.AMBIGUOUS,
    WireFailure.TOO_LONG: Outcome.AMBIGUOUS,
}
DOUBTFUL_USAGE = "The provider's report of what the call used is missing or makes no sense; what made none was not counted."


def read_failure(answer: WireAnswer) -> Reading | None:
    """What a broken exchange came to; None when its status says enough: a failure that is cut answered nothing, so billed nothing."""
    if answer.failure is None or (answer.status is not None and answer.status >= 300):
        return None
    return Reading(outcome=_BY_FAILURE[answer.failure], error_code=answer.failure.value, error_message=answer.error)


def parse(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def read_error(answer: WireAnswer, code: str, kind: str, message: str, *, as_status: int | None = None) -> Reading:
    """The class of an answer that is no good one; `as_status` when the provider's own word says more than its HTTP status."""
    status = answer.status or 0
    retry_after = read_retry_after(answer.headers, now=answer.sent_at)
    outcome = classify_status(as_status or status, {code, kind}, has_retry_after=retry_after is not None)
    name = code or kind
    if outcome is Outcome.AMBIGUOUS:
        name, message = name or "unreadable_answer", message or f"The provider answered {status} without a usable JSON object."
    return Reading(
        outcome=outcome,
        error_code=name or f"http_{status}",
        error_message=message or f"The provider answered {status}.",
        retry_after_seconds=retry_after,
    )


def error_of(body: Any) -> tuple[str, str, str]:
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


def count(raw: dict[str, Any], *names: str) -> int | None:
    """The first of these that is a number of tokens; None when none is."""
    for name in names:
        value = raw.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS:
            return value
    return None


def is_doubtful(raw: Any, *names: str) -> bool:
    """One of these counts is there and is no number of tokens."""
    return not isinstance(raw, dict) or any(raw.get(name) is not None and count(raw, name) is None for name in names)


def _text(value: Any, most: int) -> str:
    return value[:most] if isinstance(value, str) else ""
