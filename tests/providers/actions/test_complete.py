"""A call through the adapter to the simulated provider, over real HTTP: each kind of trouble comes to its class."""

from typing import Any

import aiohttp
import orjson
import pytest

from apps.lib.ports import free_port
from apps.providers.actions import complete, open_session
from apps.providers.domain.calls import Call, Completion
from apps.providers.domain.check_reading import EXCESSIVE_USAGE
from apps.providers.domain.outcomes import Outcome
from apps.spend.domain.usage import TokenUsage
from tests.factories.providers import MODEL_ID, clock, make_call, make_catalogue, make_gate, make_route
from tests.faults import figure
from tests.simulated import Simulator


async def ask(simulator: Simulator, prompt: str = "hello", *, endpoint: str = "/v1/chat/completions", **route: Any) -> Completion:
    return await put(make_call(prompt, endpoint=endpoint), simulator.base_url, **route)


async def put(call: Call, base_url: str, **route: Any) -> Completion:
    async with open_session(max_connections=2) as session:
        return await complete(call, session=session, catalogue=make_catalogue(make_route(base_url, **route)), clock=clock, gate=make_gate())


@pytest.mark.parametrize("endpoint", ["/v1/chat/completions", "/v1/responses", "/v1/completions"])
async def test_complete_answered(simulator: Simulator, endpoint: str) -> None:
    completion = await ask(simulator, endpoint=endpoint)
    assert (completion.outcome, completion.status_code, completion.error_code) == (Outcome.OK, 200, "")
    assert completion.usage == TokenUsage(input_tokens=20, output_tokens=30)
    assert completion.raw_usage == orjson.loads(completion.answer)["usage"]
    assert simulator.calls()["total"] == 1


async def test_complete_embeddings(simulator: Simulator) -> None:
    completion = await ask(simulator, endpoint="/v1/embeddings")
    assert (completion.outcome, completion.usage) == (Outcome.OK, TokenUsage(input_tokens=20))


async def test_complete_records_its_exchange(simulator: Simulator) -> None:
    completion = await ask(simulator)
    (exchange,) = completion.exchanges
    assert (exchange.outcome, exchange.status_code, exchange.path) == (Outcome.OK, 200, "/v1/chat/completions")
    assert (exchange.upstream_model, exchange.answer) == ("simulated", completion.answer)
    assert exchange.provider_request_id.startswith("req_")
    assert "x-ratelimit-remaining-requests" in exchange.headers


@pytest.mark.parametrize(
    ("status", "outcome", "code"),
    [
        (400, Outcome.REJECTED, "invalid_request_error"),
        (401, Outcome.CREDENTIAL, "invalid_api_key"),
        (302, Outcome.REJECTED, "invalid_request_error"),
        (404, Outcome.CREDENTIAL, "model_not_found"),
        (429, Outcome.THROTTLED, "rate_limit_exceeded"),
        (500, Outcome.FAILED_UPSTREAM, "server_error"),
        (503, Outcome.FAILED_UPSTREAM, "server_error"),
        (529, Outcome.THROTTLED, "server_error"),
    ],
)
async def test_complete_failed_with_a_status(simulator: Simulator, status: int, outcome: Outcome, code: str) -> None:
    completion = await ask(simulator, f"[[sim status={status}]]")
    assert (completion.outcome, completion.status_code, completion.error_code) == (outcome, status, code)
    assert completion.error_message
    assert simulator.calls()["total"] == 1


@pytest.mark.parametrize("status", [429, 503])
async def test_complete_throttled_says_how_long(simulator: Simulator, status: int) -> None:
    completion = await ask(simulator, f"[[sim status={status} retry_after=7]]")
    assert (completion.outcome, completion.retry_after_seconds) == (Outcome.THROTTLED, 7.0)


@pytest.mark.parametrize(
    ("script", "code"),
    [("hang", "timed_out"), ("drip", "timed_out"), ("cut", "cut"), ("malformed", "unreadable_answer")],
)
async def test_complete_ambiguous(simulator: Simulator, script: str, code: str) -> None:
    completion = await ask(simulator, f"[[sim {script}]] {script}", total_timeout_seconds=3.0)
    assert (completion.outcome, completion.error_code) == (Outcome.AMBIGUOUS, code)
    assert completion.error_message
    assert simulator.calls()["total"] == 1


@pytest.mark.parametrize("usage", ["zero", "negative", "huge", "text", "missing"])
async def test_complete_usage_that_makes_no_sense_is_estimated(simulator: Simulator, usage: str) -> None:
    completion = await ask(simulator, f"[[sim usage={usage}]] {'x' * 400}")
    assert completion.outcome is Outcome.OK
    assert completion.usage is not None
    assert 100 <= completion.usage.total_input_tokens <= 120
    assert 0 < completion.usage.total_output_tokens <= 100
    assert "our own estimate" in completion.exchanges[0].error
    figure(
        "F45",
        f"usage {usage}: settled as {completion.usage.total_input_tokens} + {completion.usage.total_output_tokens} tokens; true 20 + 30",
    )


async def test_complete_usage_far_beyond_our_estimate_is_told_once(simulator: Simulator, session: aiohttp.ClientSession) -> None:
    route, gate = make_route(simulator.base_url), make_gate()
    for _ in range(2):
        call = make_call("[[sim tokens=90000]]")
        completion = await complete(call, session=session, catalogue=make_catalogue(route), clock=clock, gate=gate)
    assert (completion.outcome, completion.usage and completion.usage.said_tokens) == (Outcome.OK, 90000)
    assert completion.exchanges[0].error == EXCESSIVE_USAGE
    assert [(one.what, one.target_id) for one in gate.happened] == [("overstated", route.target_id)]


async def test_complete_a_big_answer_is_whole(simulator: Simulator) -> None:
    completion = await ask(simulator, "[[sim body_kilobytes=10000]]")
    assert completion.outcome is Outcome.OK
    assert len(completion.answer) > 10_000_000


async def test_complete_too_big_an_answer_is_cut_at_the_limit(simulator: Simulator, settings: Any) -> None:
    settings.PROVIDERS_MAX_ANSWER_BYTES = 1_000_000
    completion = await ask(simulator, "[[sim body_kilobytes=10000]]")
    assert (completion.outcome, completion.error_code) == (Outcome.AMBIGUOUS, "too_long")
    assert len(completion.answer) == 1_000_000


async def test_complete_nobody_listens() -> None:
    completion = await put(make_call(), f"http://127.0.0.1:{free_port()}/v1")
    assert (completion.outcome, completion.error_code, completion.status_code) == (Outcome.NOT_SENT, "not_sent", None)


async def test_complete_without_a_target_is_a_matter_of_the_credential(simulator: Simulator) -> None:
    async with open_session(max_connections=2) as session:
        completion = await complete(make_call(), session=session, catalogue=make_catalogue(), clock=clock, gate=make_gate())
    assert (completion.outcome, completion.error_code, completion.exchanges) == (Outcome.CREDENTIAL, "no_target", ())
    assert "manage.py apply" in completion.error_message


async def test_complete_an_unknown_kind_is_a_matter_of_the_credential(simulator: Simulator) -> None:
    completion = await ask(simulator, kind="telepathy")
    assert (completion.outcome, completion.error_code) == (Outcome.CREDENTIAL, "no_adapter")
    assert simulator.calls()["total"] == 0


async def test_complete_a_body_that_is_no_object_is_rejected_unsent(simulator: Simulator) -> None:
    completion = await put(Call(run_id=MODEL_ID, model_id=MODEL_ID, endpoint="/v1/embeddings", body=b"[]"), simulator.base_url)
    assert (completion.outcome, completion.error_code) == (Outcome.REJECTED, "invalid_body")
    assert simulator.calls()["total"] == 0


async def test_complete_asks_the_first_target(simulator: Simulator) -> None:
    routes = [make_route(simulator.base_url, upstream_model="first"), make_route(upstream_model="second")]
    async with open_session(max_connections=2) as session:
        completion = await complete(make_call(), session=session, catalogue=make_catalogue(*routes), clock=clock, gate=make_gate())
    assert [exchange.upstream_model for exchange in completion.exchanges] == ["first"]
