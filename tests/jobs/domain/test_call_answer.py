"""What callers are told when their item has ended."""

import pytest

from apps.jobs.domain.call_answer import CallAnswer, EndedCall, answer_of
from apps.jobs.domain.lifecycle import ItemState
from apps.providers.domain.outcomes import Outcome


def ended(state: ItemState = ItemState.DEAD, outcome: str = "", **values: object) -> EndedCall:
    facts = {"status_code": None, "error_code": "", "error_message": "", "answer": None} | values
    return EndedCall(state=state, outcome=outcome, **facts)  # type: ignore[arg-type]  # facts of many types


def test_a_good_answer_goes_out_as_it_came() -> None:
    assert answer_of(ended(ItemState.DONE, "ok", status_code=200, answer=b'{"a": 1}')) == CallAnswer(200, b'{"a": 1}')


def test_a_rejection_in_openais_shape_goes_out_as_it_came() -> None:
    body = b'{"error": {"message": "too long", "type": "invalid_request_error", "param": "messages", "code": null}}'
    assert answer_of(ended(outcome="rejected", status_code=400, answer=body)) == CallAnswer(400, body, should_retry=False)


@pytest.mark.parametrize("answer", [None, b"<html>", b'{"error": "text"}', b"[]"])
def test_a_rejection_in_another_shape_is_put_into_words(answer: bytes | None) -> None:
    found = answer_of(ended(outcome="rejected", status_code=422, error_code="too_long", error_message="Too long.", answer=answer))
    assert (found.status, found.content, found.code, found.message) == (422, None, "too_long", "Too long.")
    assert not found.should_retry


def test_a_redirect_is_no_status_for_our_callers() -> None:
    assert answer_of(ended(outcome="rejected", status_code=302)).status == 502


@pytest.mark.parametrize(
    ("outcome", "status", "should_retry"),
    [
        (Outcome.THROTTLED, 503, True),
        (Outcome.NOT_SENT, 503, True),
        (Outcome.CREDENTIAL, 503, False),
        (Outcome.FAILED_UPSTREAM, 502, False),
        (Outcome.AMBIGUOUS, 504, False),
    ],
)
def test_other_failures_say_whether_asking_again_helps(*, outcome: Outcome, status: int, should_retry: bool) -> None:
    found = answer_of(ended(outcome=outcome.value, status_code=500, error_code="their_code", error_message="Their words."))
    assert (found.status, found.should_retry, found.code, found.message) == (status, should_retry, "their_code", "Their words.")


@pytest.mark.parametrize("state", [ItemState.DEAD, ItemState.EXPIRED])
def test_an_end_without_an_outcome_has_words_too(state: ItemState) -> None:
    found = answer_of(ended(state))
    assert found.status == 502
    assert found.code
    assert found.message


def test_a_cancelled_call_says_so() -> None:
    assert answer_of(ended(ItemState.CANCELLED)).code == "cancelled"
