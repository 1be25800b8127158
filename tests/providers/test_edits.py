"""What an operator edits while calls wait, or are in the air, holds for those as well: pauses, keys, limits."""

import asyncio
from dataclasses import replace

import aiohttp
import pytest

from apps.providers.actions import Gate
from apps.providers.actions.gate import Refusal
from apps.providers.domain.calls import Completion, Route
from apps.providers.domain.limits import BucketLimits
from apps.providers.domain.outcomes import Outcome
from tests.factories.providers import make_call, make_catalogue
from tests.providers.storm import Upstream, ask, until

ONE = BucketLimits(max_concurrency=1, version="1")


async def two_of_which_one_waits(
    session: aiohttp.ClientSession, gate: Gate, upstream: Upstream, route: Route
) -> list[asyncio.Task[Completion]]:
    upstream.may_answer.clear()
    gate.follow(make_catalogue(route))
    calls = [asyncio.create_task(ask(session, gate, route)) for _ in range(2)]
    await until(lambda: upstream.asked and any(bucket.waiters for bucket in gate.buckets.values()))
    return calls


async def test_a_call_that_waits_for_a_target_that_is_paused_is_not_sent(
    upstreams: list[Upstream], session: aiohttp.ClientSession, gate: Gate
) -> None:
    (upstream, _) = upstreams
    calls = await two_of_which_one_waits(session, gate, upstream, upstream.route(provider=ONE))
    gate.follow(make_catalogue())
    upstream.may_answer.set()
    found = [await call for call in calls]
    # It waits as for a limit: no attempt is counted. The one in the air has its answer.
    assert sorted(completion.outcome for completion in found) == [Outcome.OK, Outcome.THROTTLED]
    assert len(upstream.asked) == 1
    assert [bucket.held for bucket in gate.buckets.values()] == [0, 0]


async def test_a_target_that_was_paused_while_the_first_one_failed_is_not_asked(
    upstreams: list[Upstream], session: aiohttp.ClientSession, gate: Gate
) -> None:
    first, second = upstreams
    first.status = 500
    first.may_answer.clear()
    routes = [first.route(), second.route()]
    gate.follow(make_catalogue(*routes))
    call = asyncio.create_task(ask(session, gate, *routes))
    await until(lambda: first.asked)
    gate.follow(make_catalogue(routes[0]))
    first.may_answer.set()
    assert (await call).outcome is Outcome.FAILED_UPSTREAM
    assert not second.asked


async def test_a_call_that_waits_goes_with_the_newest_key(upstreams: list[Upstream], session: aiohttp.ClientSession, gate: Gate) -> None:
    (upstream, _) = upstreams
    route = upstream.route(provider=ONE, api_key="sk-old")
    calls = await two_of_which_one_waits(session, gate, upstream, route)
    gate.follow(make_catalogue(replace(route, api_key="sk-new")))
    upstream.may_answer.set()
    assert {(await call).outcome for call in calls} == {Outcome.OK}
    assert upstream.keys == ["sk-old", "sk-new"]


async def test_an_old_key_that_is_refused_after_it_was_replaced_pauses_nothing(
    upstreams: list[Upstream], session: aiohttp.ClientSession, gate: Gate
) -> None:
    (upstream, _) = upstreams
    upstream.status = 401
    upstream.may_answer.clear()
    route = upstream.route(target_limits=BucketLimits(version="1"), api_key="sk-old")
    call = asyncio.create_task(ask(session, gate, route))
    await until(lambda: upstream.asked)
    upstream.status, newest = 200, replace(route, target_limits=BucketLimits(version="2"), api_key="sk-new")
    gate.follow(make_catalogue(newest))
    upstream.may_answer.set()
    assert (await call).outcome is Outcome.CREDENTIAL
    assert not gate.is_paused(newest)
    assert (await ask(session, gate, newest)).outcome is Outcome.OK


async def test_an_edited_limit_holds_for_calls_that_were_begun_before_it(upstreams: list[Upstream], gate: Gate) -> None:
    call, old = make_call(), upstreams[0].route(provider=BucketLimits(requests_per_minute=60_000, version="1"))
    admission = await gate.admit(call, old)
    assert not isinstance(admission, Refusal)
    gate.follow(make_catalogue(replace(old, provider_limits=BucketLimits(requests_per_minute=30_000, version="2"))))
    bucket = admission.buckets[1]
    # Nothing is claimed or begun meanwhile, as in a pump that drains.
    await until(lambda: bucket.said.rate_per_second == pytest.approx(490))
    # It goes by the route that it began with.
    assert gate.is_open(old)
    admission.settle(Completion(outcome=Outcome.OK), call, old)
    assert bucket.limits.requests_per_minute == 30_000
