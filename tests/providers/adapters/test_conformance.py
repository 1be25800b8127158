"""What every adapter must do, whichever provider it speaks to."""

from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.providers.adapters import ADAPTERS, Adapter
from apps.providers.domain.answers import WireAnswer, WireFailure
from apps.providers.domain.outcomes import Outcome
from apps.providers.models import Kind
from apps.spend.domain.usage import TokenUsage
from tests.factories.providers import make_call, make_route

NOW = datetime(2026, 11, 21, tzinfo=UTC)
KEY = "sk-conformance"

every_adapter = pytest.mark.parametrize("adapter", ADAPTERS.values(), ids=ADAPTERS)


def read(adapter: Adapter, status: int | None, body: bytes = b"", failure: WireFailure | None = None, **headers: str) -> Outcome:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = WireAnswer(sent_at=NOW, duration_seconds=1, status=status, headers=named, body=body, failure=failure, error="It broke.")
    return adapter.read(answer).outcome


def test_every_kind_of_provider_has_an_adapter() -> None:
    assert set(Kind.values) == set(ADAPTERS)


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
@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"id": ', b"\x00\xff", b"[" * 100_000, b"1e400"])
def test_a_200_that_cannot_be_read_may_have_been_billed(adapter: Adapter, body: bytes) -> None:
    assert read(adapter, 200, body) is Outcome.AMBIGUOUS


@every_adapter
@given(
    status=st.none() | st.integers(0, 999),
    body=st.binary() | st.from_regex(rb'\{"(error|usage|content|type)": .{0,40}\}', fullmatch=True),
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
