"""Calls through gates to servers over real HTTP: limits hold over several pumps, and one that is down is gone round."""

import asyncio
import time
from collections.abc import AsyncIterator
from uuid import uuid4

import aiohttp
import pytest

from apps.providers.actions import Gate
from apps.providers.actions.gate import Refusal
from apps.providers.domain.calls import Completion
from apps.providers.domain.limits import BucketLimits
from apps.providers.domain.outcomes import Outcome
from apps.providers.limits.look import look
from apps.spend.domain.usage import TokenUsage
from tests.factories.providers import make_call, make_catalogue, make_gate, make_route
from tests.faults import figure
from tests.providers.storm import Upstream, ask


@pytest.fixture
async def gates() -> AsyncIterator[list[Gate]]:
    async with make_gate() as first, make_gate() as second:
        yield [first, second]


async def test_requests_of_two_pumps_keep_to_one_limit(
    upstreams: list[Upstream], session: aiohttp.ClientSession, gates: list[Gate]
) -> None:
    route = upstreams[0].route(provider=BucketLimits(requests_per_minute=1800))
    started = time.monotonic()
    found = await asyncio.gather(*(ask(session, gates[n % 2], route) for n in range(90)))
    assert {completion.outcome for completion in found} == {Outcome.OK}
    # A second's worth at once, the rest at 98 % of 30 a second; both pumps had a part in it.
    assert max(upstreams[0].asked) - started >= (90 - 29.4) / 29.4 - 0.3
    assert len(upstreams[0].asked) == 90


async def test_concurrency_of_two_pumps_keeps_to_one_limit(
    upstreams: list[Upstream], session: aiohttp.ClientSession, gates: list[Gate]
) -> None:
    upstreams[0].latency = 0.1
    route = upstreams[0].route(provider=BucketLimits(max_concurrency=10))
    found = await asyncio.gather(*(ask(session, gates[n % 2], route) for n in range(60)))
    assert {completion.outcome for completion in found} == {Outcome.OK}
    assert 1 < upstreams[0].most <= 9


@pytest.mark.parametrize(("kind", "left"), [("openai", "output"), ("anthropic", "input and output")])
async def test_the_estimate_becomes_what_was_used_input_and_output_apart(gates: list[Gate], kind: str, left: str) -> None:
    limits = BucketLimits(input_tokens_per_minute=6000, output_tokens_per_minute=6000)
    route = make_route(provider_id=uuid4(), target_id=uuid4(), kind=kind, provider_limits=limits)
    call = make_call()
    admission = await gates[0].admit(call, route)
    assert not isinstance(admission, Refusal)
    assert admission.size.output == 4096
    # Output costs less than was thought; of the input, providers differ in whether what they had in their cache counts.
    usage = TokenUsage(input_tokens=5, cached_input_tokens=5000, output_tokens=30)
    admission.settle(Completion(outcome=Outcome.OK, usage=usage), call, route)
    key = f"provider:{route.provider_id.hex}"
    # The second time it gives back what it had been granted ahead.
    for _ in range(2):
        await gates[0]._sync([gates[0].buckets[key]])
    state = look([key])[key]
    found = {"input": state.input_tokens_left, "output": state.output_tokens_left}
    assert " and ".join(part for part, tokens in found.items() if tokens) == left


async def test_requests_of_two_pumps_keep_to_an_output_limit_of_the_target(
    upstreams: list[Upstream], session: aiohttp.ClientSession, gates: list[Gate]
) -> None:
    # Answers use 30 tokens each: a second of the limit holds ten of them.
    route = upstreams[0].route(target_limits=BucketLimits(output_tokens_per_minute=18_000))
    started = time.monotonic()
    await ask(session, gates[0], route)
    found = await asyncio.gather(*(ask(session, gates[n % 2], route) for n in range(30)))
    assert {completion.outcome for completion in found} == {Outcome.OK}
    assert max(upstreams[0].asked) - started >= (31 - 20) * 30 / 294


async def test_one_pump_throttled_holds_the_other(upstreams: list[Upstream], session: aiohttp.ClientSession, gates: list[Gate]) -> None:
    route = upstreams[0].route()
    await ask(session, gates[1], route)
    upstreams[0].status, upstreams[0].headers = 429, {"retry-after": "300"}
    assert (await ask(session, gates[0], route)).outcome is Outcome.THROTTLED
    while gates[1].is_open(route):
        gates[1].buckets[f"target:{route.target_id.hex}"].next_at = 0.0
        gates[1].wake()
        await asyncio.sleep(0.01)
    refused = await ask(session, gates[1], route)
    assert (refused.outcome, refused.error_code, refused.exchanges) == (Outcome.THROTTLED, "limit_reached", ())
    assert refused.retry_after_seconds is not None
    assert refused.retry_after_seconds > 200
    assert len(upstreams[0].asked) == 2
    assert gates[1].allowances(make_catalogue(route)) == {next(iter(make_catalogue(route).routes_by_model)): 0}


@pytest.mark.parametrize("status", [429, 500, 401])
async def test_the_next_target_answers_in_the_same_run(
    upstreams: list[Upstream], session: aiohttp.ClientSession, gates: list[Gate], status: int
) -> None:
    upstreams[0].status = status
    routes = upstreams[0].route(), upstreams[1].route()
    completion = await ask(session, gates[0], *routes)
    assert completion.outcome is Outcome.OK
    assert [exchange.target_id for exchange in completion.exchanges] == [route.target_id for route in routes]


async def test_an_ambiguous_call_is_not_asked_again(upstreams: list[Upstream], session: aiohttp.ClientSession, gates: list[Gate]) -> None:
    upstreams[0].may_answer.clear()
    first = make_route(upstreams[0].base_url, provider_id=uuid4(), target_id=uuid4(), total_timeout_seconds=1.5)
    completion = await ask(session, gates[0], first, upstreams[1].route())
    upstreams[0].may_answer.set()
    assert (completion.outcome, upstreams[1].asked) == (Outcome.AMBIGUOUS, [])
    figure("F48", f"asked of another target: {len(upstreams[1].asked)}")


async def test_an_outage_opens_the_breaker_and_the_first_target_is_left_alone(
    upstreams: list[Upstream], session: aiohttp.ClientSession, gates: list[Gate]
) -> None:
    upstreams[0].status = 500
    routes = upstreams[0].route(), upstreams[1].route()
    await asyncio.gather(*(ask(session, gates[0], *routes) for _ in range(10)))
    while gates[0].is_open(routes[0]):
        gates[0].wake()
        await asyncio.sleep(0.01)
    asked = len(upstreams[0].asked)
    assert (await ask(session, gates[0], *routes)).outcome is Outcome.OK
    assert len(upstreams[0].asked) == asked


async def test_retries_have_a_budget(upstreams: list[Upstream], session: aiohttp.ClientSession) -> None:
    upstreams[0].status = 500
    routes = upstreams[0].route(), upstreams[1].route()
    gate, found, started = make_gate(), [], time.monotonic()
    for _ in range(40):
        found.append(await ask(session, gate, *routes))
        # As if others had been answered meanwhile.
        gate.buckets[f"target:{routes[0].target_id.hex}"].streak = 0
    # 500 buys 35 failovers at 14 each, and each second one more of the 500.
    assert 35 <= sum(completion.outcome is Outcome.OK for completion in found) <= (500 + time.monotonic() - started) // 14
