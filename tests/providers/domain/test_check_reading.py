"""Another endpoint's answer is none; and what an answer used is never taken to be nothing."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.providers.domain.answers import Reading
from apps.providers.domain.check_reading import ESTIMATED_USAGE, EXCESSIVE_USAGE, check_reading, estimate_usage
from apps.providers.domain.outcomes import Outcome
from apps.spend.domain.usage import TokenUsage

CHAT = "/v1/chat/completions"
REQUEST = json.dumps({"model": "small", "messages": [{"role": "user", "content": "x" * 396}]}).encode()  # 400 bytes of texts
ANSWER = json.dumps({"id": "c-1", "choices": [{"message": {"role": "assistant", "content": "y" * 80}}]}).encode()


def check(usage: TokenUsage | None, *, note: str = "", shape: str = "choices", endpoint: str = CHAT, **changed: Any) -> Reading:
    reading = Reading(outcome=Outcome.OK, usage=usage, note=note, shape=shape)
    return check_reading(reading, **({"endpoint": endpoint, "request": REQUEST, "answer": ANSWER} | changed))


@pytest.mark.parametrize(
    ("usage", "note", "counted"),
    [
        (None, "missing", TokenUsage(input_tokens=100, output_tokens=20)),
        (TokenUsage(), "", TokenUsage(input_tokens=100, output_tokens=20)),
        (TokenUsage(input_tokens=500), "", TokenUsage(input_tokens=500, output_tokens=20)),
        (TokenUsage(output_tokens=30), "half", TokenUsage(input_tokens=100, output_tokens=30)),
    ],
    ids=["missing", "zero", "no output", "no input"],
)
def test_usage_that_makes_no_sense_is_settled_by_our_estimate_and_flagged(usage: TokenUsage | None, note: str, counted: TokenUsage) -> None:
    checked = check(usage, note=note)
    assert (checked.outcome, checked.usage) == (Outcome.OK, counted)
    assert checked.note.endswith(ESTIMATED_USAGE)


def test_usage_as_reported_stays() -> None:
    usage = TokenUsage(input_tokens=3, output_tokens=2)
    assert (check(usage).usage, check(usage).note) == (usage, "")


@pytest.mark.parametrize(
    ("usage", "is_excessive"),
    [
        (TokenUsage(input_tokens=1000, output_tokens=1000), False),  # the difference is small
        (TokenUsage(input_tokens=2000, output_tokens=20), True),
        (TokenUsage(input_tokens=100, output_tokens=2000), True),
        (TokenUsage(input_tokens=100, output_tokens=20, reasoning_tokens=5000), False),  # what was thought is not shown
    ],
)
def test_usage_far_beyond_our_estimate_is_charged_and_flagged(usage: TokenUsage, *, is_excessive: bool) -> None:
    checked = check(usage)
    assert (checked.usage, checked.is_excessive, checked.note) == (usage, is_excessive, EXCESSIVE_USAGE if is_excessive else "")


def test_usage_of_pictures_is_not_told_by_bytes() -> None:
    request = b'{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]}]}'
    assert not check(TokenUsage(input_tokens=9000, output_tokens=20), request=request).is_excessive


def test_usage_of_embeddings_has_no_output() -> None:
    checked = check(TokenUsage(input_tokens=3), shape="data", endpoint="/v1/embeddings")
    assert (checked.usage, checked.note) == (TokenUsage(input_tokens=3), "")


@pytest.mark.parametrize(
    ("endpoint", "shape"), [(CHAT, "data"), (CHAT, "output"), ("/v1/embeddings", "choices"), ("/v1/responses", "choices")]
)
def test_an_answer_of_another_endpoint_is_not_taken_for_ours(endpoint: str, shape: str) -> None:
    checked = check(TokenUsage(1, 1), endpoint=endpoint, shape=shape)
    assert (checked.outcome, checked.error_code) == (Outcome.AMBIGUOUS, "foreign_answer")


def test_a_failure_stays_what_it_is() -> None:
    reading = Reading(outcome=Outcome.REJECTED, error_code="no")
    assert check_reading(reading, endpoint=CHAT, request=REQUEST, answer=b"") is reading


@given(st.binary(), st.binary())
def test_estimate_takes_any_bytes(request: bytes, answer: bytes) -> None:
    usage = estimate_usage(request, answer)
    assert min(usage.input_tokens, usage.output_tokens) >= 0


def test_estimate_of_a_deep_answer() -> None:
    usage = estimate_usage(REQUEST, b'{"content": ' * 900 + b'"yyyy"' + b"}" * 900)
    assert usage.output_tokens == 1
