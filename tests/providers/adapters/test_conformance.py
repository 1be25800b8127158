"""What every adapter must do, whichever provider it speaks to."""

import gzip
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.lib.ports import free_port
from apps.providers.actions import complete, open_session
from apps.providers.adapters import ADAPTERS, Adapter
from apps.providers.domain.answers import WireAnswer, WireFailure
from apps.providers.domain.calls import Call, Completion
from apps.providers.domain.kinds import KINDS, USUAL_KIND
from apps.providers.domain.outcomes import Outcome
from apps.spend.domain.usage import TokenUsage
from tests.factories.providers import MODEL_ID, clock, make_call, make_catalogue, make_gate, make_route
from tests.faults import figure
from tests.providers.adapters.raw_server import Say, drips, raw_server, says, stays_silent

NOW = datetime(2026, 11, 21, tzinfo=UTC)
KEY = "sk-conformance"

GOOD: dict[str, dict[str, Any]] = {
    "openai": {"choices": [{"index": 0, "message": {"content": "Hi."}}], "usage": {"prompt_tokens": 20, "completion_tokens": 30}},
    "anthropic": {
        "content": [{"type": "text", "text": "Hi."}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 20, "output_tokens": 30},
    },
}
# Good JSON without an answer in it, by anybody's shapes.
EMPTY = [
    b"{}",
    b'{"id": "x"}',
    b'{"choices": []}',
    b'{"choices": null}',
    b'{"choices": "many"}',
    b'{"choices": [7]}',
    b'{"data": []}',
    b'{"output": 7}',
    b'{"content": "text", "stop_reason": "end_turn"}',
    b'{"content": [{"type": "text", "text": 7}], "stop_reason": "end_turn"}',
    b'{"content": [{"type": "text", "text": "half"}], "stop_reason": null}',
    b'{"content": [{"type": "tool_use", "name": "f", "input": "x"}], "stop_reason": "tool_use"}',
]

every_adapter = pytest.mark.parametrize("adapter", ADAPTERS.values(), ids=ADAPTERS)
every_kind = pytest.mark.parametrize("kind", ADAPTERS)


def read(adapter: Adapter, status: int | None, body: bytes = b"", failure: WireFailure | None = None, **headers: str) -> Outcome:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = WireAnswer(sent_at=NOW, duration_seconds=1, status=status, headers=named, body=body, failure=failure, error="It broke.")
    return adapter.read(answer).outcome


def test_every_kind_of_provider_has_an_adapter() -> None:
    assert USUAL_KIND in set(KINDS) == set(ADAPTERS)


@every_adapter
def test_a_request_names_the_upstream_model_the_run_and_the_key(adapter: Adapter) -> None:
    call, route = make_call(temperature=0.5), make_route("https://llm.example/v1", upstream_model="theirs", api_key=KEY)
    request = adapter.write(call, route)
    assert request.url.startswith("https://llm.example/v1/")
    assert orjson.loads(request.body)["model"] == "theirs"
    assert orjson.loads(request.body)["temperature"] == 0.5
    assert str(call.run_id) in request.headers.values()
    assert any(KEY in value for value in request.headers.values())
    assert KEY not in f"{request!r} {request.url} {request.body!r}"


@every_adapter
def test_writing_the_same_call_twice_gives_the_same_request(adapter: Adapter) -> None:
    call, route = make_call(), make_route()
    assert adapter.write(call, route) == adapter.write(call, route)


@every_adapter
@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (302, Outcome.REJECTED),
        (400, Outcome.REJECTED),
        (401, Outcome.CREDENTIAL),
        (403, Outcome.CREDENTIAL),
        (408, Outcome.FAILED_UPSTREAM),
        (429, Outcome.THROTTLED),
        (500, Outcome.FAILED_UPSTREAM),
        (503, Outcome.FAILED_UPSTREAM),
        (529, Outcome.THROTTLED),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>busy</html>", b"{}", b'{"error": {"message": "No."}}'])
def test_a_failures_class_is_that_of_its_status(adapter: Adapter, status: int, outcome: Outcome, body: bytes) -> None:
    assert read(adapter, status, body) is outcome


@every_adapter
def test_busy_with_a_time_to_come_back_is_throttled(adapter: Adapter) -> None:
    assert read(adapter, 503, retry_after="2") is Outcome.THROTTLED


@every_adapter
@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        (WireFailure.NOT_SENT, Outcome.NOT_SENT),
        (WireFailure.CUT, Outcome.AMBIGUOUS),
        (WireFailure.TIMED_OUT, Outcome.AMBIGUOUS),
        (WireFailure.TOO_LONG, Outcome.AMBIGUOUS),
    ],
)
def test_without_a_status_only_what_was_not_sent_is_free(adapter: Adapter, failure: WireFailure, outcome: Outcome) -> None:
    assert read(adapter, None, failure=failure) is outcome


@every_adapter
@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"id": ', b"\x00\xff", b"[" * 100_000, b"1e400", *EMPTY])
def test_a_200_that_cannot_be_read_may_have_been_billed(adapter: Adapter, body: bytes) -> None:
    assert read(adapter, 200, body) is Outcome.AMBIGUOUS


_NAMES = ["error", "usage", "content", "type", "text", "stop_reason", "choices", "data", "output", "input_tokens", "prompt_tokens", "input"]
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.sampled_from(["text", "tool_use", "end_turn"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(_NAMES), inner),
    max_leaves=12,
).map(orjson.dumps)


@every_adapter
@given(
    status=st.none() | st.integers(0, 999),
    body=st.binary() | ANY_JSON | st.from_regex(rb'\{"(error|usage|content|type)": .{0,40}\}', fullmatch=True),
    failure=st.none() | st.sampled_from(WireFailure),
    retry_after=st.text(),
)
def test_nothing_falls_through_and_only_a_whole_200_is_an_answer(
    adapter: Adapter, status: int | None, body: bytes, failure: WireFailure | None, retry_after: str
) -> None:
    headers = {"retry-after": retry_after}
    answer = WireAnswer(sent_at=NOW, duration_seconds=0, status=status, headers=headers, body=body, failure=failure, error="It broke.")
    reading = adapter.read(answer)
    assert isinstance(reading.outcome, Outcome)
    assert (reading.outcome is Outcome.OK) == (not reading.error_code) == (not reading.error_message)
    assert reading.outcome is not Outcome.OK or (status, failure) == (200, None)
    usage = reading.usage or TokenUsage()
    assert min(usage.total_input_tokens, usage.total_output_tokens, usage.input_tokens, usage.output_tokens) >= 0


async def ask(kind: str, content: bytes, *headers: str, status: int = 200, **route: Any) -> Completion:
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(content)}", *headers]
    return await ask_raw(kind, says("\r\n".join(lines).encode() + b"\r\n\r\n" + content), **route)


async def ask_raw(kind: str, say: Say, **route: Any) -> Completion:
    async with raw_server(say) as base_url, open_session(max_connections=1) as session:
        return await complete(
            make_call(), session=session, catalogue=make_catalogue(make_route(base_url, kind=kind, **route)), clock=clock, gate=make_gate()
        )


@every_kind
async def test_over_http_an_answer_is_a_chat_completion_and_the_providers_own_bytes_are_kept(kind: str) -> None:
    raw = orjson.dumps(GOOD[kind])
    completion = await ask(kind, raw, "x-request-id: r1")
    assert (completion.outcome, completion.usage) == (Outcome.OK, TokenUsage(input_tokens=20, output_tokens=30))
    assert orjson.loads(completion.answer)["choices"][0]["message"]["content"] == "Hi."
    (exchange,) = completion.exchanges
    assert (exchange.answer, exchange.provider_request_id, exchange.error) == (raw, "r1", "")


@every_kind
@pytest.mark.parametrize(
    "usage", [None, {}, 7, {"prompt_tokens": -1, "input_tokens": -1}, {"prompt_tokens": 10**12, "input_tokens": 10**12}]
)
async def test_over_http_a_usage_that_makes_no_sense_is_estimated_and_told(kind: str, usage: Any) -> None:
    completion = await ask(kind, orjson.dumps(GOOD[kind] | {"usage": usage}))
    # "hello" and "user" asked, "Hi." said.
    assert (completion.outcome, completion.usage) == (Outcome.OK, TokenUsage(input_tokens=3, output_tokens=1))
    assert "makes no sense" in completion.exchanges[0].error
    assert "our own estimate" in completion.exchanges[0].error


@every_kind
@pytest.mark.parametrize(
    ("say", "outcome"),
    [
        (stays_silent, Outcome.AMBIGUOUS),
        (drips, Outcome.AMBIGUOUS),
        (says(b""), Outcome.AMBIGUOUS),
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"), Outcome.AMBIGUOUS),
        (says(b"HTTP/1.1 429 No\r\nContent-Length: 100\r\n\r\n{"), Outcome.THROTTLED),
        (says(b"HTTP/1.1 302 Go\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n"), Outcome.REJECTED),
    ],
    ids=["hang", "drip", "reset", "truncated", "429 truncated", "redirect"],
)
async def test_over_http_trouble_ends_in_time_and_in_its_class(kind: str, say: Say, outcome: Outcome) -> None:
    completion = await ask_raw(kind, say, total_timeout_seconds=2)
    assert (completion.outcome, bool(completion.error_message)) == (outcome, True)


@every_kind
async def test_over_http_nobody_there_is_not_sent(kind: str) -> None:
    async with open_session(max_connections=1) as session:
        route = make_route(f"http://127.0.0.1:{free_port()}/v1", kind=kind)
        completion = await complete(make_call(), session=session, catalogue=make_catalogue(route), clock=clock, gate=make_gate())
    assert (completion.outcome, completion.answer) == (Outcome.NOT_SENT, b"")


@every_kind
async def test_over_http_a_packed_answer_is_bounded_when_unpacked(kind: str, settings: Any) -> None:
    settings.PROVIDERS_MAX_ANSWER_BYTES = 100_000
    completion = await ask(kind, gzip.compress(b" " * 50_000_000), "Content-Encoding: gzip")
    assert (completion.outcome, completion.error_code, len(completion.exchanges[0].answer)) == (Outcome.AMBIGUOUS, "too_long", 100_000)
    figure("F44", f"{kind}: of 50,000,000 bytes, packed, {len(completion.exchanges[0].answer):,} were kept")


@every_kind
@pytest.mark.parametrize(
    ("headers", "seconds"), [(["Retry-After: 7"], 7.0), (["retry-after-ms: 250"], 0.25), (["Retry-After: soon"], None), ([], None)]
)
async def test_over_http_throttled_says_how_long(kind: str, headers: list[str], seconds: float | None) -> None:
    completion = await ask(kind, b"{}", *headers, status=429)
    assert (completion.outcome, completion.retry_after_seconds) == (Outcome.THROTTLED, seconds)


@every_adapter
@pytest.mark.parametrize("body", [b"[]", b"", b"null", b'{"messages": ' + b'{"a": ' * 400 + b"1" + b"}" * 401])
def test_what_cannot_be_written_is_refused(adapter: Adapter, body: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        adapter.write(Call(run_id=MODEL_ID, model_id=MODEL_ID, endpoint="/v1/chat/completions", body=body), make_route())
