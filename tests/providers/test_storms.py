"""Storms: how many calls they cost beyond one an item, that no item dies of them, and that all is well after them."""

import asyncio

import pytest

from apps.jobs.domain.retry import Decision, Policy
from apps.providers.actions import complete, open_session
from apps.providers.domain.outcomes import Outcome
from tests.factories.providers import MODEL_ID, clock, make_call, make_catalogue, make_gate, make_route
from tests.faults import figure
from tests.providers.adapters.raw_server import drips, raw_server, stays_silent
from tests.providers.storm import Pumps, Upstream, hurried, shift, until

ITEMS = 400
ONE_PERCENT = ITEMS // 100


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
    await asyncio.wait_for(work, 200)
    assert pumps.dead() == 0
    assert len(upstream.asked) - ITEMS <= pumps.most_in_flight + ONE_PERCENT
    assert {item.tries.attempts for item in pumps.items} == {0}
    figure(
        "F35",
        f"{ITEMS} items: {len(upstream.asked) - ITEMS} calls beyond one an item, dead 0, attempts counted 0",
    )


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
    await asyncio.wait_for(work, 200)
    assert pumps.dead() == 0
    # Those in the air, fewer than ten a pump until it has seen ten fail, the probes, and 1 %.
    assert len(upstream.asked) - ITEMS <= pumps.most_in_flight + 9 * len(pumps.gates) + 3 + ONE_PERCENT
    assert max(item.tries.attempts for item in pumps.items) <= 2
    figure("F38", f"{ITEMS} items: {len(upstream.asked) - ITEMS} calls beyond one an item, dead {pumps.dead()}")


# A hundredth of the real times, so that five minutes are three seconds.
HASTY = Policy(base_seconds=0.02, cap_seconds=3.0, throttle_cap_seconds=0.3, outage_cap_seconds=0.3)


@pytest.mark.parametrize("items", [1, 5, 50])
async def test_a_storm_of_5xx_kills_no_item_of_a_small_job(upstreams: list[Upstream], items: int) -> None:
    """Too few calls to open a breaker, or just enough: five minutes of 500, which begin before the job does."""
    (upstream, _) = upstreams
    upstream.status = 500
    route = upstream.route()
    pumps = Pumps(items, [route], policy=HASTY)
    async with hurried(pumps, route):
        work = asyncio.create_task(pumps.run())
        await asyncio.sleep(3)
        await until(lambda: len(upstream.asked) > 5)
        asked = len(upstream.asked)
        upstream.status = 200
        await asyncio.wait_for(work, 200)
    assert [item.decision for item in pumps.items] == [Decision.DONE] * items
    # For one that is tried five times and given up it was down for too long.
    assert asked > 5
    most = max(item.tries.attempts for item in pumps.items)
    figure("F38", f"jobs of {items}: dead {pumps.dead()}, calls while it was down {asked}, most attempts that counted {most}")


async def test_an_item_that_alone_makes_it_fail_dies_all_the_same(upstreams: list[Upstream]) -> None:
    """On a target that nobody else asks after twenty free tries and five that count; beside others after those five."""
    alone, beside = upstreams
    lonely = Pumps(1, [alone.route()], policy=Policy(base_seconds=0.002, outage_cap_seconds=0.02))
    lonely.items[0].prompt = "poison"
    async with hurried(lonely, *lonely.routes):
        await asyncio.wait_for(lonely.run(), 200)
    assert (lonely.items[0].decision, lonely.items[0].tries.attempts) == (Decision.DEAD, 5)
    assert 5 < len(alone.asked) <= 25
    route = beside.route()
    others, bad = Pumps(150, [route], gates=1, window=1), Pumps(1, [route], gates=1)
    bad.items[0].prompt = "poison"
    await asyncio.wait_for(asyncio.gather(others.run(), bad.run()), 200)
    assert (bad.items[0].decision, bad.items[0].tries.attempts) == (Decision.DEAD, 5)
    assert bad.items[0].tries.free <= 3
    assert others.dead() == 0


async def test_the_first_target_dies_and_comes_back(upstreams: list[Upstream]) -> None:
    first, second = upstreams
    first.latency, second.latency = 0.02, 0.1
    routes = [first.route(), second.route()]
    pumps = Pumps(2 * ITEMS, routes)
    work = asyncio.create_task(pumps.run())
    await until(lambda: len(pumps.ended) >= 50)
    assert not second.asked
    first.status = 500
    await until(lambda: not any(gate.is_open(routes[0]) for gate in pumps.gates))
    asked = len(first.asked) + pumps.in_flight
    await until(lambda: len(second.asked) >= 50)
    assert len(first.asked) <= asked
    first.status = 200
    await shift(pumps, routes[0], open_until=0)
    await until(lambda: any(bucket.said.is_slow for one in pumps.gates for bucket in one.buckets.values()))
    # While it comes back slowly, the second one takes what the first may not.
    both = len(first.asked), len(second.asked)
    await until(lambda: len(first.asked) > both[0] and len(second.asked) > both[1])
    await asyncio.wait_for(work, 200)
    assert [item.decision for item in pumps.items] == [Decision.DONE] * 2 * ITEMS
    figure("F50", f"first target down and back under {2 * ITEMS} items: dead 0, the second one answered {len(second.asked)}")
    served = {item.completion.exchanges[-1].target_id for item in pumps.items if item.completion}
    assert served == {route.target_id for route in routes}


@pytest.mark.parametrize("trouble", ["hang", "drip"])
async def test_hung_calls_end_at_their_deadline_and_delay_nobody(upstreams: list[Upstream], trouble: str) -> None:
    async with (
        raw_server(stays_silent if trouble == "hang" else drips) as base_url,
        open_session(max_connections=100) as session,
        make_gate() as gate,
    ):
        bad = make_catalogue(make_route(base_url, total_timeout_seconds=5))
        good = make_catalogue(upstreams[0].route())
        hung = [asyncio.create_task(complete(make_call(), session=session, catalogue=bad, clock=clock, gate=gate)) for _ in range(9)]
        others = [await complete(make_call(), session=session, catalogue=good, clock=clock, gate=gate) for _ in range(30)]
        assert not any(call.done() for call in hung)
        assert {completion.outcome for completion in others} == {Outcome.OK}
        ended = await asyncio.gather(*hung)
    assert {(completion.outcome, completion.error_code) for completion in ended} == {(Outcome.AMBIGUOUS, "timed_out")}
    assert all(completion.exchanges[0].duration_seconds >= 5 for completion in ended)
    others_took = max(completion.exchanges[0].duration_seconds for completion in others)
    held = [completion.exchanges[0].duration_seconds for completion in ended]
    assert others_took < min(held)
    fault = "F39" if trouble == "hang" else "F40"
    figure(
        fault,
        f"deadline 5 s: held {min(held):.2f} to {max(held):.2f} s; of 30 others beside them none took more than {others_took:.2f} s",
    )
