"""The script on a real Redis: what several pumps are granted together."""

import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from apps.providers.domain.limits import BucketLimits
from apps.providers.limits.bucket import Answer, Bucket
from apps.providers.limits.shared import SharedBuckets

_NOTHING = {
    "held": 0, "version": "1", "pause_ms": 0, "throttled": 0, "retry_after_ms": 0, "chance": 0, "ok": 0, "failed": 0, "undecided": 0,
    "epoch": 0, "max_concurrency": 0, "has_breaker": True, "retry_cost": 0, "requests_per_minute": 0, "tokens_per_minute": 0,
    "returned": 0, "token_delta": 0, "told_requests": 0, "told_tokens": 0, "left_requests": -1, "left_tokens": -1, "hold_ms": 0,
    "want": 0, "want_tokens": 0, "is_interactive": False, "is_waiting": False,
}  # fmt: skip


class Asker(Bucket):
    """A bucket that asks just what a test wants asked."""

    def question(self, pump: str, now: float) -> dict[str, object]:
        del now
        return {**_NOTHING, "pump": pump, **self.asked}

    asked: dict[str, Any]


class Pumps:
    """Several pumps at one bucket."""

    def __init__(self) -> None:
        self.shared = SharedBuckets()
        self.epoch = 0
        self.bucket = Asker(f"target:{uuid4().hex}", BucketLimits(), has_breaker=True, is_interactive=False)

    async def ask(self, pump: str = "a", **asked: Any) -> Answer:
        """What a pump asks that knows the present epoch, unless it says another."""
        self.bucket.asked = {"epoch": self.epoch} | asked
        (answer,) = await self.shared.sync([self.bucket], pump=pump, now=time.monotonic())
        self.epoch = answer.epoch
        return answer

    async def set(self, **fields: Any) -> None:
        """Put the bucket into a state of another time."""
        await self.shared.redis.hset(f"limits:{{{self.bucket.key}}}", mapping=fields)

    async def get(self, name: str) -> float:
        return float(await self.shared.redis.hget(f"limits:{{{self.bucket.key}}}", name))


@pytest.fixture
async def pumps() -> AsyncIterator[Pumps]:
    found = Pumps()
    yield found
    await found.shared.close()


async def test_sync_requests_of_all_pumps_come_from_one_second_of_the_limit(pumps: Pumps) -> None:
    first = await pumps.ask("a", requests_per_minute=600, want=7)
    second = await pumps.ask("b", requests_per_minute=600, want=7)
    assert (first.granted, second.pumps) == (7, 2)
    assert 2 <= second.granted <= 3


async def test_sync_returned_permits_can_be_granted_again(pumps: Pumps) -> None:
    await pumps.ask("a", requests_per_minute=600, want=9)
    assert (await pumps.ask("a", requests_per_minute=600, returned=5, want=5)).granted == 5


async def test_sync_the_slowest_limit_grants_one(pumps: Pumps) -> None:
    assert (await pumps.ask(requests_per_minute=1, want=3)).granted == 1


async def test_sync_tokens_go_into_debt_for_one_big_call_and_then_wait(pumps: Pumps) -> None:
    big = await pumps.ask(tokens_per_minute=6000, want=1, want_tokens=5000)
    after = await pumps.ask(tokens_per_minute=6000, want=1, want_tokens=10)
    assert (big.granted, after.granted) == (1, 0)
    assert after.wait_ms > 40_000


async def test_sync_tokens_that_were_not_used_come_back(pumps: Pumps) -> None:
    await pumps.ask(tokens_per_minute=6000, want=1, want_tokens=5000)
    assert (await pumps.ask(tokens_per_minute=6000, token_delta=-4990, want=1, want_tokens=10)).granted == 1


async def test_sync_a_limit_that_the_provider_tells_counts_when_it_is_lower(pumps: Pumps) -> None:
    assert (await pumps.ask(requests_per_minute=6000, told_requests=600, want=50)).granted == 9
    assert (await pumps.ask(requests_per_minute=6000, told_requests=60_000)).rate_per_second == pytest.approx(98)


async def test_sync_retry_after_blocks_every_pump(pumps: Pumps) -> None:
    await pumps.ask("a", throttled=1, retry_after_ms=7000)
    other = await pumps.ask("b", want=1, is_interactive=True)
    assert other.granted == 0
    assert 6000 < other.blocked_ms <= 7700


async def test_sync_throttled_without_a_word_blocks_two_seconds_and_then_four(pumps: Pumps) -> None:
    assert 1900 < (await pumps.ask(throttled=1)).blocked_ms <= 2200
    await pumps.set(blocked=0)
    assert 3900 < (await pumps.ask(throttled=1)).blocked_ms <= 4400


async def test_sync_concurrency_is_shared_and_bulk_leaves_a_tenth(pumps: Pumps) -> None:
    assert (await pumps.ask("a", max_concurrency=20, want=50)).granted == 18
    assert (await pumps.ask("b", max_concurrency=20, want=50)).granted == 0
    assert (await pumps.ask("c", max_concurrency=20, want=50, is_interactive=True, is_waiting=True)).granted == 2


async def test_sync_a_killed_pumps_share_comes_back(pumps: Pumps) -> None:
    await pumps.ask("a", max_concurrency=10, want=9)
    await pumps.set(**{"pump:a": "9,1000"})
    assert (await pumps.ask("b", max_concurrency=10, want=9)).granted == 9


async def test_sync_throttling_lowers_concurrency_once_in_five_seconds(pumps: Pumps) -> None:
    assert (await pumps.ask(throttled=1, held=100)).limit == 70
    assert (await pumps.ask(throttled=1, held=100)).limit == 70


async def test_sync_concurrency_stays_above_a_quarter_and_recovers(pumps: Pumps) -> None:
    await pumps.ask(throttled=1, held=99)
    for _ in range(8):
        await pumps.set(limit_at=0)
        lowest = await pumps.ask(throttled=1, held=99)
    assert lowest.limit == 25
    await pumps.set(limit_at=0, throttled_at=0, blocked=0)
    assert (await pumps.ask(ok=1, held=99)).limit == 38


async def test_sync_a_waiting_interactive_call_stops_bulk(pumps: Pumps) -> None:
    await pumps.ask("bulk", max_concurrency=2)
    await pumps.ask("bulk", max_concurrency=2, held=2)
    await pumps.ask("live", max_concurrency=2, want=1, is_interactive=True, is_waiting=True)
    assert (await pumps.ask("bulk", max_concurrency=2, want=2)).is_reserved
    assert (await pumps.ask("live", max_concurrency=2, want=1, is_interactive=True, is_waiting=True)).granted == 1


async def test_sync_breaker_opens_at_half_failed_and_throttling_does_not_count(pumps: Pumps) -> None:
    assert (await pumps.ask(ok=6)).breaker == "closed"
    assert (await pumps.ask(throttled=9)).breaker == "closed"
    assert (await pumps.ask(failed=5)).breaker == "closed"
    opened = await pumps.ask(failed=1)
    assert (opened.breaker, opened.opened) == ("open", True)
    assert 9000 < opened.blocked_ms <= 10_000


async def test_sync_few_failures_do_not_open(pumps: Pumps) -> None:
    assert (await pumps.ask(failed=9)).breaker == "closed"
    assert (await pumps.ask(ok=10)).breaker == "closed"


async def test_sync_half_open_lets_three_probes_through_in_all_pumps(pumps: Pumps) -> None:
    await pumps.ask(failed=10)
    await pumps.set(open_until=0)
    assert (await pumps.ask("a", want=2)).granted == 2
    assert (await pumps.ask("b", want=9)).granted == 1
    assert (await pumps.ask("c", want=9)).granted == 0
    again = await pumps.ask("a", failed=1)
    assert again.breaker == "open"
    assert 14_000 < again.blocked_ms <= 15_000


async def test_sync_three_good_probes_close_it_slowly(pumps: Pumps) -> None:
    await pumps.ask()
    await pumps.ask(failed=10, held=100)
    await pumps.set(open_until=0)
    await pumps.ask(want=3)
    closed = await pumps.ask(ok=3, want=100)
    assert (closed.breaker, closed.is_slow) == ("closed", True)
    assert 9 <= closed.granted <= 10
    await pumps.set(slow_from=1)
    assert (await pumps.ask(want=100)).granted == 100


async def test_sync_the_retry_budget_runs_dry_and_fills_by_success(pumps: Pumps) -> None:
    assert (await pumps.ask(retry_cost=490)).budget == pytest.approx(10, abs=1)
    assert (await pumps.ask(ok=5)).budget == pytest.approx(15, abs=1)


async def test_sync_a_pause_ends_when_the_row_changes(pumps: Pumps) -> None:
    assert (await pumps.ask(pause_ms=60_000)).paused_ms > 0
    assert (await pumps.ask(want=1, version="2")).granted == 1


async def test_sync_after_redis_forgot_the_script(pumps: Pumps) -> None:
    await pumps.ask()
    await pumps.shared.redis.script_flush()
    assert (await pumps.ask(want=1)).granted == 1
