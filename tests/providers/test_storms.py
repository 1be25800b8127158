"""Storms: how many calls they cost beyond one an item, that no item dies of them, and that all is well after them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from apps.jobs.domain.retry import Decision
from apps.providers.actions import complete, open_session
from apps.providers.domain.outcomes import Outcome
from tests.factories.providers import MODEL_ID, clock, make_call, make_catalogue, make_gate, make_route
from tests.providers.adapters.raw_server import drips, raw_server, stays_silent
from tests.providers.storm import Pumps, Upstream, serve, shift, until

ITEMS = 400
ONE_PERCENT = ITEMS // 100


@pytest.fixture
async def upstreams() -> AsyncIterator[list[Upstream]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(serve(Upstream())) for _ in range(2)]


async def test_a_storm_of_429_costs_no_more_than_what_was_in_the_air_and_no_attempt(upstreams: list[Upstream]) -> None:
    (upstream, _) = upstreams
    upstream.latency, upstream.headers = 0.02, {"retry-after": "1"}
    pumps = Pumps(ITEMS, [upstream.route()])
    work = asyncio.create_task(pumps.run())
    await until(lambda: len(pumps.ended) >= 100)
    upstream.status = 429
    await until(lambda: pumps.gates[0].allowances(pumps.catalogue).get(MODEL_ID) == 0)
    refused = len(upstream.asked)
    # The storm outlives the first block: it is tried once or twice, and left alone for longer.
    await until(lambda: len(upstream.asked) > refused)
    upstream.status = 200
    await asyncio.wait_for(work, 60)
    assert pumps.dead() == 0
    assert len(upstream.asked) - ITEMS <= upstream.most + ONE_PERCENT
    assert {item.tries.attempts for item in pumps.items} == {0}


async def test_a_storm_of_5xx_opens_the_breaker_and_probes_end_it(upstreams: list[Upstream]) -> None:
    (upstream, _) = upstreams
    upstream.latency = 0.02
    route = upstream.route()
    pumps = Pumps(ITEMS, [route])
    work = asyncio.create_task(pumps.run())
    await until(lambda: len(pumps.ended) >= 100)
    upstream.status = 503
    await until(lambda: pumps.are_closed(route))
    asked = len(upstream.asked)
    # Half-open while it is still down: at most three probes in all pumps.
    await shift(pumps, route, open_until=0)
    await until(lambda: len(upstream.asked) > asked)
    await until(lambda: pumps.are_closed(route))
    assert len(upstream.asked) - asked <= 3
    upstream.status = 200
    await shift(pumps, route, open_until=0)
    await until(lambda: any(bucket.said.is_slow for gate in pumps.gates for bucket in gate.buckets.values()))
    await shift(pumps, route, slow_from=1)
    await asyncio.wait_for(work, 60)
    assert pumps.dead() == 0
    # Those in the air, fewer than ten a pump until it has seen ten fail, the probes, and 1 %.
    assert len(upstream.asked) - ITEMS <= upstream.most + 9 * len(pumps.gates) + 3 + ONE_PERCENT
    assert max(item.tries.attempts for item in pumps.items) <= 2


async def test_the_first_target_dies_and_comes_back(upstreams: list[Upstream]) -> None:
    first, second = upstreams
    first.latency, second.latency = 0.02, 0.1
    routes = [first.route(), second.route()]
    pumps = Pumps(2 * ITEMS, routes)
    gate = pumps.gates[0]
    work = asyncio.create_task(pumps.run())
    await until(lambda: len(pumps.ended) >= 50)
    assert not second.asked
    first.status = 500
    await until(lambda: not gate.is_open(routes[0]))
    asked = len(first.asked) + pumps.in_flight
    await until(lambda: len(second.asked) >= 50)
    assert len(first.asked) <= asked
    first.status = 200
    await shift(pumps, routes[0], open_until=0)
    await until(lambda: any(bucket.said.is_slow for one in pumps.gates for bucket in one.buckets.values()))
    # While it comes back slowly, the second one takes what the first may not.
    both = len(first.asked), len(second.asked)
    await until(lambda: len(first.asked) > both[0] and len(second.asked) > both[1])
    await asyncio.wait_for(work, 60)
    assert [item.decision for item in pumps.items] == [Decision.DONE] * 2 * ITEMS
    served = {item.completion.exchanges[-1].target_id for item in pumps.items if item.completion}
    assert served == {route.target_id for route in routes}


@pytest.mark.parametrize("trouble", ["hang", "drip"])
async def test_hung_calls_end_at_their_deadline_and_delay_nobody(upstreams: list[Upstream], trouble: str) -> None:
    async with (
        raw_server(stays_silent if trouble == "hang" else drips) as base_url,
        open_session(max_connections=100) as session,
        make_gate() as gate,
    ):
        bad = make_catalogue(make_route(base_url, total_timeout_seconds=1.5))
        good = make_catalogue(upstreams[0].route())
        hung = [asyncio.create_task(complete(make_call(), session=session, catalogue=bad, clock=clock, gate=gate)) for _ in range(9)]
        others = [await complete(make_call(), session=session, catalogue=good, clock=clock, gate=gate) for _ in range(30)]
        assert not any(call.done() for call in hung)
        assert {completion.outcome for completion in others} == {Outcome.OK}
        ended = await asyncio.gather(*hung)
    assert {(completion.outcome, completion.error_code) for completion in ended} == {(Outcome.AMBIGUOUS, "timed_out")}
    assert all(completion.exchanges[0].duration_seconds >= 1.5 for completion in ended)
    others_took = max(completion.exchanges[0].duration_seconds for completion in others)
    assert others_took < min(completion.exchanges[0].duration_seconds for completion in ended)
