"""OpenAI's shapes: how a call is written, and how answers, good and hostile, are read."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.providers.adapters.openai import OpenAIAdapter
from apps.providers.domain.answers import WireAnswer, WireFailure
from apps.providers.domain.calls import Call
from apps.providers.domain.outcomes import Outcome
from apps.spend.domain.usage import TokenUsage
from tests.factories.providers import MODEL_ID, make_call, make_route

ADAPTER = OpenAIAdapter()
CHAT = {"id": "x", "choices": [{"index": 0}]}
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def answer(body: Any = b"", status: int | None = 200, *, failure: WireFailure | None = None, **headers: str) -> WireAnswer:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return WireAnswer(sent_at=NOW, duration_seconds=1.0, status=status, headers=named, body=content, failure=failure, error="It broke.")


def usage_of(raw: Any) -> TokenUsage | None:
    reading = ADAPTER.read(answer(CHAT | {"usage": raw}))
    assert reading.outcome is Outcome.OK
    return reading.usage


@pytest.mark.parametrize("endpoint", ["/v1/chat/completions", "/v1/responses", "/v1/completions", "/v1/embeddings"])
def test_write_posts_to_the_same_path_of_the_provider(endpoint: str) -> None:
    call = make_call(endpoint=endpoint)
    request = ADAPTER.write(call, make_route("https://llm.example/api/v1", upstream_model="gpt-x"))
    assert request.url == "https://llm.example/api" + endpoint
    assert orjson.loads(request.body) == {"model": "gpt-x", "messages": [{"role": "user", "content": "hello"}]}
    assert request.headers == {
        "Content-Type": "application/json",
        "Authorization": "Bearer sk-test",
        "X-Client-Request-Id": str(call.run_id),
    }


def test_write_without_a_key_sends_none() -> None:
    assert "Authorization" not in ADAPTER.write(make_call(), make_route(api_key="")).headers


def test_a_request_and_a_route_do_not_show_their_key() -> None:
    route = make_route(api_key="sk-very-secret")
    assert "sk-very-secret" not in repr(route) + repr(ADAPTER.write(make_call(), route))


@pytest.mark.parametrize("body", [b"[]", b"nothing", b'"text"', b""])
def test_write_refuses_what_is_no_object(body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        ADAPTER.write(Call(run_id=MODEL_ID, model_id=MODEL_ID, endpoint="/v1/embeddings", body=body), make_route())


@pytest.mark.parametrize(
    ("raw", "usage"),
    [
        ({"prompt_tokens": 20, "completion_tokens": 30, "total_tokens": 50}, TokenUsage(input_tokens=20, output_tokens=30)),
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 30,
                "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 10},
            },
            TokenUsage(input_tokens=36, cached_input_tokens=64, output_tokens=20, reasoning_tokens=10),
        ),
        (
            {
                "input_tokens": 100,
                "output_tokens": 30,
                "input_tokens_details": {"cached_tokens": 40},
                "output_tokens_details": {"reasoning_tokens": 30},
            },
            TokenUsage(input_tokens=60, cached_input_tokens=40, output_tokens=0, reasoning_tokens=30),
        ),
        ({"prompt_tokens": 8, "total_tokens": 8}, TokenUsage(input_tokens=8)),
        ({"prompt_tokens": 8, "prompt_tokens_details": None, "completion_tokens_details": "odd"}, TokenUsage(input_tokens=8)),
    ],
    ids=["chat", "chat with details", "responses", "embeddings", "odd details"],
)
def test_usage_of_every_shape_in_buckets_that_do_not_overlap(raw: dict[str, Any], usage: TokenUsage) -> None:
    assert usage_of(raw) == usage


@pytest.mark.parametrize(
    "raw",
    [None, [], "many", 7, {}, {"prompt_tokens": -1}, {"prompt_tokens": 10**10}, {"prompt_tokens": "20"}, {"prompt_tokens": True}],
    ids=str,
)
def test_usage_that_makes_no_sense_counts_as_not_reported(raw: Any) -> None:
    assert usage_of(raw) is None


def test_usage_details_never_exceed_their_sum() -> None:
    raw = {"prompt_tokens": 5, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 50}}
    assert usage_of(raw | {"completion_tokens_details": {"reasoning_tokens": 30}}) == TokenUsage(cached_input_tokens=5, reasoning_tokens=3)


def test_usage_as_reported_is_kept() -> None:
    raw = {"prompt_tokens": -4, "odd": [1, 2]}
    assert ADAPTER.read(answer(CHAT | {"usage": raw})).raw_usage == raw


@given(
    st.dictionaries(
        st.sampled_from(["prompt_tokens", "completion_tokens", "input_tokens", "output_tokens", "prompt_tokens_details"]),
        st.one_of(
            st.integers(min_value=-(2**63), max_value=2**63 - 1),
            st.floats(),
            st.none(),
            st.booleans(),
            st.dictionaries(st.just("cached_tokens"), st.integers(min_value=-5, max_value=2**40)),
        ),
    )
)
def test_usage_is_never_negative_nor_beyond_reason(raw: dict[str, Any]) -> None:
    usage = usage_of(raw)
    if usage:
        counts = [usage.input_tokens, usage.cached_input_tokens, usage.output_tokens, usage.reasoning_tokens]
        assert all(0 <= count <= 1_000_000_000 for count in counts)


@pytest.mark.parametrize("body", [b"", b"not JSON", b"[]", b"null", b'"text"', b'{"id": ', b"\x00\xff", b"[" * 100_000], ids=repr)
def test_a_200_without_a_json_object_is_ambiguous(body: bytes) -> None:
    reading = ADAPTER.read(answer(body))
    assert (reading.outcome, reading.error_code) == (Outcome.AMBIGUOUS, "unreadable_answer")


def test_a_200_that_holds_an_error_is_no_answer() -> None:
    reading = ADAPTER.read(answer({"error": {"message": "Overloaded", "code": "overloaded"}}))
    assert (reading.outcome, reading.error_code, reading.error_message) == (Outcome.AMBIGUOUS, "overloaded", "Overloaded")


def test_a_null_error_is_no_error() -> None:
    assert ADAPTER.read(answer({"id": "resp_1", "error": None, "output": []})).outcome is Outcome.OK


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"error": {"code": "bad", "type": "invalid_request_error", "message": "No."}}, "bad", "No."),
        ({"error": {"code": None, "type": "invalid_request_error", "message": "No."}}, "invalid_request_error", "No."),
        ({"error": {"code": 400, "message": "No."}}, "http_400", "No."),
        ({"error": "No."}, "http_400", "No."),
        ({"object": "error", "message": "No."}, "http_400", "No."),
        ({"detail": "No."}, "http_400", "No."),
        ({"detail": [{"loc": ["body"]}]}, "http_400", "The provider answered 400."),
        ({"error": [1]}, "http_400", "The provider answered 400."),
        ([], "http_400", "The provider answered 400."),
        (b"<html>", "http_400", "The provider answered 400."),
    ],
)
def test_an_error_is_read_in_every_usual_form(body: Any, code: str, message: str) -> None:
    reading = ADAPTER.read(answer(body, 400))
    assert (reading.outcome, reading.error_code, reading.error_message) == (Outcome.REJECTED, code, message)


def test_a_quota_that_is_used_up_is_told_by_its_type_too() -> None:
    body = {"error": {"code": "billing", "type": "insufficient_quota", "message": "Pay first."}}
    assert ADAPTER.read(answer(body, 429)).outcome is Outcome.CREDENTIAL


def test_a_long_error_message_is_cut() -> None:
    reading = ADAPTER.read(answer({"error": {"code": "c" * 9999, "message": "m" * 9999}}, 400))
    assert (len(reading.error_code), len(reading.error_message)) == (100, 2000)


def test_throttled_says_how_long() -> None:
    reading = ADAPTER.read(answer({"error": {"code": "rate_limit_exceeded"}}, 429, retry_after="3"))
    assert (reading.outcome, reading.retry_after_seconds) == (Outcome.THROTTLED, 3.0)


@pytest.mark.parametrize("failure", [WireFailure.CUT, WireFailure.TIMED_OUT, WireFailure.TOO_LONG])
@pytest.mark.parametrize("status", [None, 200])
def test_an_answer_that_is_not_whole_may_have_been_billed(failure: WireFailure, status: int | None) -> None:
    reading = ADAPTER.read(answer(b'{"id": "x"}', status, failure=failure))
    assert (reading.outcome, reading.error_code, reading.error_message) == (Outcome.AMBIGUOUS, failure.value, "It broke.")


@pytest.mark.parametrize(
    ("status", "outcome"), [(302, Outcome.REJECTED), (401, Outcome.CREDENTIAL), (429, Outcome.THROTTLED), (500, Outcome.FAILED_UPSTREAM)]
)
def test_the_status_of_a_failure_decides_even_when_its_body_is_cut(status: int, outcome: Outcome) -> None:
    assert ADAPTER.read(answer(b'{"error": {"mess', status, failure=WireFailure.CUT)).outcome is outcome


def test_what_was_not_sent_is_not_sent() -> None:
    assert ADAPTER.read(answer(status=None, failure=WireFailure.NOT_SENT)).outcome is Outcome.NOT_SENT


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["error", "usage", "code", "type", "message"]), inner),
    max_leaves=12,
)


@given(
    st.none() | st.integers(100, 999),
    st.binary() | _JSON.map(orjson.dumps),
    st.none() | st.sampled_from(WireFailure),
    st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms", "x-request-id"]), st.text()),
)
def test_no_answer_and_no_failure_falls_through(
    status: int | None, body: bytes, failure: WireFailure | None, headers: dict[str, str]
) -> None:
    reading = ADAPTER.read(
        WireAnswer(sent_at=NOW, duration_seconds=0, status=status, headers=headers, body=body, failure=failure, error="It broke.")
    )
    assert isinstance(reading.outcome, Outcome)
    assert (reading.outcome is Outcome.OK) == (not reading.error_code)
    assert bool(reading.error_code) == bool(reading.error_message)
    if reading.outcome is Outcome.OK:
        assert (status, failure) == (200, None)


@pytest.mark.parametrize(
    "choice",
    [
        {"finish_reason": "stop", "message": {"content": "yes"}},
        {"finish_reason": "length", "message": {"content": "ye"}},
        {"finish_reason": "content_filter", "message": {"content": None}},
        {"finish_reason": "stop", "message": {"content": None, "refusal": "I can't help with that."}},
        {"finish_reason": "tool_calls", "message": {"content": None, "tool_calls": [{"id": "1"}]}},
        {"finish_reason": "something_new", "message": {"content": "yes"}},
    ],
)
def test_however_it_ended_a_whole_answer_is_one(choice: dict[str, Any]) -> None:
    reading = ADAPTER.read(answer({"choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}))
    assert (reading.outcome, reading.shape, reading.note) == (Outcome.OK, "choices", "")


@pytest.mark.parametrize(
    ("endpoint", "upstream_model", "name"),
    [
        ("/v1/chat/completions", "llama-3", "max_tokens"),
        ("/v1/chat/completions", "gpt-4o-mini", "max_tokens"),
        ("/v1/chat/completions", "o3-mini", "max_completion_tokens"),
        ("/v1/chat/completions", "gpt-5-nano", "max_completion_tokens"),
        ("/v1/completions", "llama-3", "max_tokens"),
        ("/v1/responses", "gpt-4o", "max_output_tokens"),
        ("/v1/embeddings", "embed", None),
    ],
)
def test_a_call_that_must_be_bounded_gets_the_models_bound(endpoint: str, upstream_model: str, name: str | None) -> None:
    call = replace(make_call(endpoint=endpoint), must_be_bounded=True)
    request = ADAPTER.write(call, make_route(upstream_model=upstream_model, max_output_tokens=77))
    added = orjson.loads(request.body).keys() - {"model", "messages"}
    assert added == ({name} if name else set())
    assert name is None or orjson.loads(request.body)[name] == 77
