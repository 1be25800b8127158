"""Which targets a fault keeps out, and for how long: credentials, models, limits of one model and of a whole key, slowness."""

import asyncio
import time
from dataclasses import replace
from uuid import uuid4

import aiohttp
import pytest

from apps.providers.actions import Gate
from apps.providers.domain.limits import BucketLimits
from apps.providers.domain.outcomes import Outcome
from tests.factories.providers import MODEL_ID, make_catalogue
from tests.faults import figure
from tests.lib.descriptors import no_descriptors
from tests.providers.storm import Pumps, Upstream, ask, shift, until


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (429, {"code": "insufficient_quota"}),
        (402, {"message": "pay"}),
        (401, {"code": "invalid_api_key"}),
        (403, {"message": "no"}),
        (404, {"code": "model_not_found"}),
    ],
)
async def test_a_credential_or_a_model_that_is_refused_pauses_its_target(
    upstreams: list[Upstream], session: aiohttp.ClientSession, gate: Gate, status: int, error: dict[str, str]
) -> None:
    (upstream, _) = upstreams
    upstream.status, upstream.body = status, {"error": error}
    route = upstream.route()
    assert (await ask(session, gate, route)).outcome is Outcome.CREDENTIAL
    for _ in range(20):
        paused = await ask(session, gate, route)
        assert (paused.outcome, paused.error_code, paused.exchanges) == (Outcome.CREDENTIAL, "target_paused", ())
    assert len(upstream.asked) == 1
    figure(
        "F46" if status in {401, 403, 404} else "F37", f"{status} {error}: calls after the first of 21 asked for: {len(upstream.asked) - 1}"
    )
    # A breaker is for outages: nothing of this reaches it.
    await until(lambda: gate.buckets[f"target:{route.target_id.hex}"].said.paused_ms > 0)
    assert gate.buckets[f"target:{route.target_id.hex}"].said.breaker == "closed"


async def test_a_429_of_a_target_leaves_the_other_targets_of_its_provider_alone(
    upstreams: list[Upstream], session: aiohttp.ClientSession, gate: Gate
) -> None:
    (upstream, _) = upstreams
    first = upstream.route()
    sibling = replace(first, target_id=uuid4())
    upstream.status, upstream.headers = 429, {"retry-after": "30"}
    assert (await ask(session, gate, first)).outcome is Outcome.THROTTLED
    assert (gate.is_open(first), gate.is_open(sibling)) == (False, True)
    # Refused as well, it is the key that is meant: the third one is not asked any more.
    assert (await ask(session, gate, sibling)).outcome is Outcome.THROTTLED
    assert not gate.is_open(replace(first, target_id=uuid4()))
    assert len(upstream.asked) == 2


async def test_a_429_where_the_limit_is_the_providers_blocks_all_its_targets(
    upstreams: list[Upstream], session: aiohttp.ClientSession, gate: Gate
) -> None:
    (upstream, _) = upstreams
    first = upstream.route(provider=BucketLimits(requests_per_minute=6000))
    sibling = replace(first, target_id=uuid4())
    own = replace(first, target_id=uuid4(), target_limits=BucketLimits(requests_per_minute=60))
    upstream.status, upstream.headers = 429, {"retry-after": "30"}
    assert (await ask(session, gate, own)).outcome is Outcome.THROTTLED
    assert [gate.is_open(route) for route in (own, first, sibling)] == [False, True, True]
    assert (await ask(session, gate, first)).outcome is Outcome.THROTTLED
    assert [gate.is_open(route) for route in (own, first, sibling)] == [False, False, False]


async def test_slow_answers_open_nothing_and_lower_concurrency(upstreams: list[Upstream]) -> None:
    (upstream, _) = upstreams
    upstream.latency = 0.12
    route = upstream.route()
    pumps = Pumps(600, [route])
    # There is work left however late the pumps hear what is usual.
    later = [pumps.ready.pop() for _ in range(400)]
    buckets = [gate._of(route)[0] for gate in pumps.gates]
    work = asyncio.create_task(pumps.run())
    await until(lambda: len(pumps.ended) >= 150)
    await until(lambda: all(bucket.said.usual_ms > 0 for bucket in buckets))
    # However slow the machine makes them already.
    before, upstream.latency = pumps.most_in_flight, 1.5 + 8 * max(bucket.said.usual_ms for bucket in buckets) / 1000
    pumps.ready.extend(later)
    # Twenty late answers and ten seconds; those are cut short.
    lowest = [before]
    while not work.done() and min(lowest) > before // 2:
        await shift(pumps, route, timed_at=0)
        await asyncio.sleep(0.2)
        lowest += [bucket.said.limit for bucket in buckets if bucket.said.limit]
    good = float(await pumps.gates[0].shared.redis.hget(f"limits:{{target:{route.target_id.hex}}}", "good"))
    upstream.latency = 0.0
    await asyncio.wait_for(work, 200)
    assert (pumps.dead(), len(upstream.asked)) == (0, 600)
    assert {bucket.said.epoch for bucket in buckets} == {0}
    # To half of what was in the air when it began, and never below a quarter of what last went well.
    assert good // 4 <= min(lowest) <= before // 2
    figure(
        "F49", f"concurrency {before} before, limited to {min(lowest)} once answers were late; calls beyond one an item 0, breaker closed"
    )


async def test_what_we_lack_ourselves_opens_no_breaker_and_asks_nobody_else(
    upstreams: list[Upstream], session: aiohttp.ClientSession, gate: Gate
) -> None:
    first, second = (upstream.route() for upstream in upstreams)
    bucket = gate._of(first)[0]
    # Redis has been asked, and the connection to it stays.
    await until(lambda: bucket.synced_at > 0)
    with no_descriptors():
        found = [await ask(session, gate, first, second) for _ in range(15)]
    assert {(one.outcome, one.error_code, one.is_probe) for one in found} == {(Outcome.NOT_SENT, "no_connection_of_ours", False)}
    assert {len(one.exchanges) for one in found} == {1}
    assert (bucket.streak, bucket.news.failed, bucket.said.breaker) == (0, 0, "closed")
    answered = await ask(session, gate, first, second)
    assert answered.exchanges[-1].target_id == first.target_id
    assert answered.outcome is Outcome.OK


async def test_a_fallback_keeps_to_its_own_limit(upstreams: list[Upstream]) -> None:
    down, fallback = upstreams
    down.status = 401
    routes = [down.route(), fallback.route(provider=BucketLimits(requests_per_minute=1800))]
    pumps, started = Pumps(90, routes), time.monotonic()
    await asyncio.wait_for(pumps.run(), 200)
    assert pumps.dead() == 0
    assert len(fallback.asked) == 90
    # A second's worth at once, the rest at 98 % of 30 a second.
    took = max(fallback.asked) - started
    assert took >= (90 - 29.4) / 29.4 - 0.3
    figure("F50", f"fallback of 1,800 a minute: 90 calls took {took:.1f} s, beyond its limit none")


async def test_bulk_work_waits_for_its_own_target_and_does_not_spill_over(
    upstreams: list[Upstream], session: aiohttp.ClientSession, gate: Gate
) -> None:
    first, second = upstreams
    routes = [first.route(provider=BucketLimits(requests_per_minute=600)), second.route()]
    await asyncio.gather(*(ask(session, gate, *routes) for _ in range(20)))
    assert (len(first.asked), len(second.asked)) == (20, 0)
    # And no more is claimed than the first one will take.
    assert 0 < gate.allowances(make_catalogue(*routes))[MODEL_ID] <= 11


async def test_an_edited_limit_counts_for_the_next_call(upstreams: list[Upstream], session: aiohttp.ClientSession, gate: Gate) -> None:
    (upstream, _) = upstreams
    route = upstream.route(provider=BucketLimits(requests_per_minute=60, version="1"))
    await ask(session, gate, route)
    faster = replace(route, provider_limits=BucketLimits(requests_per_minute=60_000, version="2"))
    found = await asyncio.gather(*(ask(session, gate, faster) for _ in range(100)))
    assert {completion.outcome for completion in found} == {Outcome.OK}
    # At the old pace the hundredth would have come 100 seconds after the first.
    assert max(upstream.asked) - min(upstream.asked) < 50


async def test_retry_after_in_all_its_forms_blocks_the_bucket(
    upstreams: list[Upstream], session: aiohttp.ClientSession, gate: Gate
) -> None:
    (upstream, _) = upstreams
    upstream.status = 429
    waits = {}
    for name, headers in {
        "seconds": {"retry-after": "20"},
        "float": {"retry-after": "20.5"},
        "ms": {"retry-after-ms": "20000"},
        "huge": {"retry-after": "99999999999"},
        "none": {},
        "past": {"retry-after": "Sat, 21 Nov 2020 11:00:00 GMT"},
        "negative": {"retry-after": "-5"},
        "garbage": {"retry-after": "soon"},
        "zero": {"retry-after": "0"},
    }.items():
        upstream.headers = headers
        route = upstream.route()
        await ask(session, gate, route)
        bucket = gate.buckets[f"target:{route.target_id.hex}"]
        await until(lambda bucket=bucket: bucket.said.blocked_ms > 0)
        waits[name] = bucket.said.blocked_ms / 1000
    own = (2.0, 2.2)
    asked = {"seconds": (20, 22), "float": (20.5, 22.6), "ms": (20, 22), "huge": (86_400, 95_040)}
    expected = asked | dict.fromkeys(("none", "past", "negative", "garbage", "zero"), own)
    right = {name: bounds[0] - 1.5 <= waits[name] <= bounds[1] for name, bounds in expected.items()}
    assert right == dict.fromkeys(expected, True)
    figure("F36", f"{len(waits)} forms of Retry-After, misread {list(right.values()).count(False)}")
