"""What the caller of a single call is told once its item has ended."""

from dataclasses import dataclass, replace

import orjson

from apps.jobs.domain.budget_words import BUDGET_EXHAUSTED
from apps.jobs.domain.lifecycle import ItemState
from apps.providers.domain.outcomes import Outcome

_FAILURES = {
    Outcome.THROTTLED: (503, "provider_throttled", "The provider takes no more calls at present; try again later."),
    Outcome.NOT_SENT: (503, "provider_unreachable", "The provider could not be reached; nothing was sent."),
    Outcome.CREDENTIAL: (
        503,
        "provider_refused_credential",
        "The provider refuses this platform's credential or model; tell its operator.",
    ),
    Outcome.FAILED_UPSTREAM: (502, "provider_failed", "The provider failed, each time it was asked."),
    Outcome.AMBIGUOUS: (504, "provider_answer_lost", "The provider was asked, and no whole answer came back."),
    Outcome.OUTPUT_CONTRACT: (502, "output_contract", "The answer breaks its contract."),
    Outcome.REJECTED: (502, "provider_rejected", "The provider rejected the request."),
}
# Asked again by its key, and what it came to was forgotten in the meantime. Never paid for twice.
ANSWER_GONE = (
    409,
    "answer_expired",
    "This call has ended; what it came to was kept as long as the workspace's retention allows and is gone. Use a new key.",
)
_UNKNOWN = (502, "not_answered", "The call ended without an answer.")
# What will pass by waiting; anything else has been repeated by the platform as often as is sensible.
_PASSING = {Outcome.THROTTLED, Outcome.NOT_SENT}


@dataclass(frozen=True, slots=True)
class EndedCall:
    """An ended item as it stands in the database; `answer` is the provider's body.

    `retry_after_seconds`: until the budget that it died of is fresh again.
    """

    state: str
    outcome: str
    status_code: int | None
    error_code: str
    error_message: str
    answer: bytes | None
    answered_by: str = ""
    retry_after_seconds: int = 0


@dataclass(frozen=True, slots=True)
class CallAnswer:
    """The provider's own body (`content`), or the failure that takes its place."""

    status: int
    content: bytes | None = None
    code: str = ""
    message: str = ""
    should_retry: bool = True
    is_cached: bool = False
    retry_after_seconds: int = 0


def answer_of(ended: EndedCall) -> CallAnswer:
    """A good answer goes out as it came; so does a rejection that has OpenAI's shape. All else is put into words."""
    if ended.state == ItemState.DONE and ended.answer is not None:
        return CallAnswer(status=ended.status_code or 200, content=ended.answer, is_cached=ended.answered_by == "cache")
    if ended.state == ItemState.DONE:
        return CallAnswer(ANSWER_GONE[0], None, ANSWER_GONE[1], ANSWER_GONE[2], should_retry=False)
    if ended.state == ItemState.CANCELLED:
        return CallAnswer(status=409, code="cancelled", message="The call was cancelled before it was sent.", should_retry=False)
    if ended.error_code == BUDGET_EXHAUSTED:
        seconds = max(0, ended.retry_after_seconds)
        return CallAnswer(429, None, "insufficient_quota", ended.error_message, should_retry=seconds > 0, retry_after_seconds=seconds)
    outcome = Outcome(ended.outcome) if ended.outcome in set(Outcome) else None
    status, code, message = _FAILURES.get(outcome, _UNKNOWN) if outcome else _UNKNOWN
    if outcome is Outcome.REJECTED and 400 <= (ended.status_code or 0) < 500:
        status = ended.status_code or status
        if ended.answer is not None and _is_envelope(ended.answer):
            return CallAnswer(status=status, content=ended.answer, should_retry=False)
    return CallAnswer(
        status=status, code=ended.error_code or code, message=ended.error_message or message, should_retry=outcome in _PASSING
    )


def in_words(answer: CallAnswer) -> CallAnswer:
    """A refusal that came as the provider gave it, as a failure of ours, where errors have another shape."""
    if answer.content is None:
        return answer
    error = orjson.loads(answer.content)["error"]
    code, message = str(error.get("code") or "provider_rejected"), str(error.get("message") or _FAILURES[Outcome.REJECTED][2])
    return replace(answer, content=None, code=code, message=message)


def _is_envelope(answer: bytes) -> bool:
    try:
        body = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return False
    return isinstance(body, dict) and isinstance(body.get("error"), dict)
