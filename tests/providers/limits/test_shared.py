"""The script on a real Redis: what several pumps are granted together."""

import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from apps.providers.domain.limits import BucketLimits
from apps.providers.limits.bucket import Bucket
from apps.providers.limits.shared import SharedBuckets
from apps.providers.limits.talk import Answer

_NOTHING = {
    "is_known": False, "held": 0, "version": "1", "pause_ms": 0, "throttled": 0, "retry_after_ms": 0, "chance": 0, "ok": 0, "failed": 0,
    "undecided": 0, "epoch": 0, "max_concurrency": 0, "has_breaker": True, "retry_cost": 0, "requests_per_minute": 0,
    "tokens_per_minute": 0, "input_tokens_per_minute": 0, "output_tokens_per_minute": 0, "returned": 0, "input_delta": 0, "output_delta": 0,
    "told_requests": 0, "told_tokens": 0, "told_input_tokens": 0, "told_output_tokens": 0, "left_requests": -1, "left_tokens": -1,
    "left_input_tokens": -1, "left_output_tokens": -1, "hold_ms": 0, "want": 0, "want_input": 0, "want_output": 0,
    "is_interactive": False, "is_waiting": False, "timed": 0, "late": 0, "took_ms": 0, "token_ms": 0,
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
        self.began = time.monotonic()
        self.bucket = Asker(f"target:{uuid4().hex}", BucketLimits(), has_breaker=True, is_interactive=False)

    async def ask(self, pump: str = "a", **asked: Any) -> Answer:
        """What a pump asks that knows the present epoch, unless it says another."""
        self.bucket.asked = {"epoch": self.epoch} | asked
        (answer,) = await self.shared.sync([self.bucket], pump=pump, now=time.monotonic())
        self.epoch = answer.epoch
        return answer

    @property
    def age(self) -> float:
        """Seconds, in which buckets fill."""
        return time.monotonic() - self.began

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
    assert 2 <= second.granted <= 3 + 9.8 * pumps.age


async def test_sync_returned_permits_can_be_granted_again(pumps: Pumps) -> None:
    await pumps.ask("a", requests_per_minute=600, want=9)
    assert (await pumps.ask("a", requests_per_minute=600, returned=5, want=5)).granted == 5


async def test_sync_the_slowest_limit_grants_one(pumps: Pumps) -> None:
    assert (await pumps.ask(requests_per_minute=1, want=3)).granted == 1


async def test_sync_tokens_go_into_debt_for_one_big_call_and_then_wait(pumps: Pumps) -> None:
    big = await pumps.ask(tokens_per_minute=6000, want=1, want_input=5000)
    after = await pumps.ask(tokens_per_minute=6000, want=1, want_input=10)
    assert (big.granted, after.granted) == (1, 0)
    assert after.wait_ms > 40_000


async def test_sync_no_debt_lasts_longer_than_the_minute_that_the_provider_counts(pumps: Pumps) -> None:
    """Whatever a provider says that a call has used."""
    limits = {"tokens_per_minute": 6000, "output_tokens_per_minute": 3000}
    assert (await pumps.ask(**limits, output_delta=20_000_000, want=1, want_input=1)).granted == 0
    for name in ("tokens_at", "output_tokens_at"):
        await pumps.set(**{name: await pumps.get(name) - 62_000})
    assert (await pumps.ask(**limits, want=1, want_input=1)).granted == 1


async def test_sync_tokens_that_were_not_used_come_back(pumps: Pumps) -> None:
    await pumps.ask(tokens_per_minute=6000, want=1, want_input=5000)
    assert (await pumps.ask(tokens_per_minute=6000, output_delta=-4990, want=1, want_input=10)).granted == 1


@pytest.mark.parametrize(("part", "other"), [("input", "output"), ("output", "input")])
async def test_sync_input_and_output_are_bounded_apart(pumps: Pumps, part: str, other: str) -> None:
    limits = {f"{part}_tokens_per_minute": 6000, f"{other}_tokens_per_minute": 6_000_000}
    wide = await pumps.ask(**limits, want=1, **{f"want_{other}": 5000})
    big = await pumps.ask(**limits, want=1, **{f"want_{part}": 5000})
    after = await pumps.ask(**limits, want=1, **{f"want_{part}": 10})
    assert (wide.granted, big.granted, after.granted) == (1, 1, 0)
    assert after.wait_ms > 40_000
    # What was not used comes back to its own part alone.
    assert (await pumps.ask(**limits, **{f"{other}_delta": -4990}, want=1, **{f"want_{part}": 10})).granted == 0
    assert (await pumps.ask(**limits, **{f"{part}_delta": -4990}, want=1, **{f"want_{part}": 10})).granted == 1


async def test_sync_tokens_together_hold_beside_those_apart(pumps: Pumps) -> None:
    limits = {"tokens_per_minute": 6000, "input_tokens_per_minute": 6_000_000, "output_tokens_per_minute": 6_000_000}
    first = await pumps.ask(**limits, want=1, want_input=2500, want_output=2500)
    assert (first.input_each, first.output_each) == (2500, 2500)
    assert (await pumps.ask(**limits, want=1, want_input=1)).granted == 0
    assert (await pumps.ask(**limits, output_delta=-5000, want=1, want_input=1)).granted == 1


async def test_sync_limits_of_input_and_output_that_the_provider_tells_count_when_they_are_lower(pumps: Pumps) -> None:
    told = await pumps.ask(input_tokens_per_minute=60_000, output_tokens_per_minute=60_000, told_output_tokens=6000)
    assert (told.input_per_second, told.output_per_second) == (pytest.approx(980), pytest.approx(98))
    unset = await pumps.ask(told_output_tokens=6000)
    assert (unset.is_bound, unset.output_per_second) == (False, 0)
    refused = await pumps.ask(told_output_tokens=6000, throttled=1, retry_after_ms=50)
    assert (refused.is_bound, refused.output_per_second, refused.input_per_second) == (True, pytest.approx(98), 0)


async def test_sync_no_more_output_is_granted_than_the_provider_says_is_left(pumps: Pumps) -> None:
    limits = {"input_tokens_per_minute": 6_000_000, "output_tokens_per_minute": 6_000_000}
    assert (await pumps.ask(**limits, left_output_tokens=20_000, want=50, want_input=50_000, want_output=50_000)).granted <= 11


async def test_sync_a_limit_that_the_provider_tells_counts_when_it_is_lower(pumps: Pumps) -> None:
    assert (await pumps.ask(requests_per_minute=6000, told_requests=600, want=50)).granted == 9
    assert (await pumps.ask(requests_per_minute=6000, told_requests=60_000)).rate_per_second == pytest.approx(98)


async def test_sync_retry_after_blocks_every_pump(pumps: Pumps) -> None:
    await pumps.ask("a", throttled=1, retry_after_ms=7000)
    other = await pumps.ask("b", want=1, is_interactive=True)
    assert other.granted == 0
    assert 6990 - 1000 * pumps.age <= other.blocked_ms <= 7700


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
    await pumps.ask(failed=10, held=100)
    await pumps.set(open_until=0)
    await pumps.ask(want=3)
    closed = await pumps.ask(ok=3, want=100)
    assert (closed.breaker, closed.is_slow) == ("closed", True)
    assert 9 <= closed.granted <= 10
    await pumps.set(slow_from=1)
    assert (await pumps.ask(want=100)).granted == 100


async def test_sync_failures_in_a_row_are_counted_over_all_pumps_however_far_apart(pumps: Pumps) -> None:
    assert [(await pumps.ask(name, failed=1)).row for name in ("a", "b", "c")] == [1, 2, 3]
    # Its latest outcomes are forgotten after ten seconds; that nothing good has come is not.
    await pumps.shared.redis.delete(f"limits:{{{pumps.bucket.key}}}:seen")
    assert (await pumps.ask(failed=1)).row == 4
    assert (await pumps.ask("b", ok=1)).row == 0


async def test_sync_answers_that_are_late_halve_concurrency_down_to_a_quarter_and_open_nothing(pumps: Pumps) -> None:
    for _ in range(6):
        usual = await pumps.ask(timed=10, took_ms=1000, token_ms=20, ok=10, held=100)
    assert (round(usual.usual_ms), round(usual.usual_token_ms), usual.limit) == (1000, 20, 0)
    limits, happened = [], ""
    for _ in range(2):
        # The window of ten seconds is over, and held these alone.
        await pumps.set(timed_at=0, timed=0)
        late = await pumps.ask(timed=20, late=16, took_ms=9000, token_ms=180, ok=20, held=100)
        limits.append(late.limit)
        happened += late.happened
    assert (limits, happened, late.breaker) == ([50, 25], "slow", "closed")
    assert late.usual_ms == pytest.approx(1000)
    # While they are late it stays so; afterwards it grows as after any refusal.
    await pumps.set(limit_at=0)
    assert (await pumps.ask(held=25)).limit == 25
    await pumps.set(timed_at=0)
    assert (await pumps.ask(timed=20, late=0, took_ms=1000, token_ms=20, held=25)).limit == 38


async def test_sync_a_few_late_answers_lower_nothing(pumps: Pumps) -> None:
    await pumps.ask(timed=60, took_ms=1000, token_ms=20, held=100)
    await pumps.set(timed_at=0)
    assert (await pumps.ask(timed=20, late=15, took_ms=9000, token_ms=180, held=100)).limit == 0


async def test_sync_what_stays_late_at_a_quarter_becomes_the_usual(pumps: Pumps) -> None:
    """Long calls after many short ones, or a provider that is slower now: asking less does not help, so all may be asked again."""
    await pumps.ask(timed=60, took_ms=50, token_ms=2, held=100)
    limits = []
    for _ in range(3):
        await pumps.set(timed_at=0, timed=0)
        late = await pumps.ask(timed=20, late=20, took_ms=3000, token_ms=60, held=100)
        limits.append(late.limit)
    assert (limits, late.usual_ms, late.usual_token_ms) == ([50, 25, 25], 3000, 60)
    for limit in (38, 57, 86):
        await pumps.set(limit_at=0)
        assert (await pumps.ask(timed=20, took_ms=3000, token_ms=60, ok=20, held=25)).limit == limit


async def test_sync_the_retry_budget_runs_dry_and_fills_by_success(pumps: Pumps) -> None:
    assert 10 <= (await pumps.ask(retry_cost=490)).budget <= 10.01 + pumps.age
    assert 15 <= (await pumps.ask(ok=5)).budget <= 15.01 + pumps.age


async def test_sync_a_pause_ends_when_the_row_changes(pumps: Pumps) -> None:
    assert (await pumps.ask(pause_ms=60_000)).paused_ms > 0
    assert (await pumps.ask(want=1, version="2")).granted == 1


async def test_sync_a_pump_that_has_not_read_the_edit_yet_ends_no_block(pumps: Pumps) -> None:
    await pumps.ask("a", version="2")
    assert (await pumps.ask("a", version="2", throttled=1, retry_after_ms=60_000)).blocked_ms > 0
    assert (await pumps.ask("b", version="1")).blocked_ms > 0
    assert (await pumps.ask("a", version="2")).blocked_ms > 0
    assert (await pumps.ask("b", version="3")).blocked_ms == 0


async def test_sync_after_redis_forgot_the_script(pumps: Pumps) -> None:
    await pumps.ask()
    await pumps.shared.redis.script_flush()
    assert (await pumps.ask(want=1)).granted == 1


# --- what the provider says -----------------------------------------------------------------------------------------


async def test_sync_the_newest_word_counts_also_when_it_is_higher(pumps: Pumps) -> None:
    assert (await pumps.ask(requests_per_minute=6000, told_requests=600)).rate_per_second == pytest.approx(9.8)
    assert (await pumps.ask(requests_per_minute=6000, told_requests=1200)).rate_per_second == pytest.approx(19.6)


async def test_sync_a_told_limit_is_forgotten_after_a_minute(pumps: Pumps) -> None:
    assert (await pumps.ask(requests_per_minute=6000, told_requests=600)).rate_per_second == pytest.approx(9.8)
    await pumps.set(told_requests_at=await pumps.get("told_requests_at") - 60_001)
    assert (await pumps.ask(requests_per_minute=6000)).rate_per_second == pytest.approx(98)


async def test_sync_without_a_limit_of_ours_the_providers_counts_once_it_has_refused(pumps: Pumps) -> None:
    assert not (await pumps.ask(told_requests=600)).is_bound
    refused = await pumps.ask(told_requests=600, throttled=1, retry_after_ms=50)
    assert (refused.is_bound, refused.rate_per_second) == (True, pytest.approx(9.8))
    await pumps.set(throttled_at=await pumps.get("throttled_at") - 60_001, blocked=0)
    assert not (await pumps.ask(told_requests=600)).is_bound


async def test_sync_no_more_is_granted_than_the_provider_says_is_left(pumps: Pumps) -> None:
    assert (await pumps.ask(requests_per_minute=6000, left_requests=20, want=50)).granted <= 11
    assert (await pumps.ask(tokens_per_minute=6_000_000, left_tokens=20_000, want=50, want_input=50_000)).granted <= 11


async def test_sync_what_is_used_up_is_held_for_a_moment(pumps: Pumps) -> None:
    assert (await pumps.ask(requests_per_minute=6000, hold_ms=300_000, want=5)).granted == 0
    assert 0 < await pumps.get("hold") - await pumps.get("requests_at") <= 1000


# --- after a refusal ------------------------------------------------------------------------------------------------


async def test_sync_a_refusal_drains_the_bucket_and_trials_begin_with_one(pumps: Pumps) -> None:
    await pumps.ask(requests_per_minute=60_000, throttled=1, retry_after_ms=5000, held=700)
    blocked = await pumps.get("blocked")
    await pumps.set(blocked=blocked - 5000, requests_at=await pumps.get("requests_at") - 5000)
    first = await pumps.ask(requests_per_minute=60_000, want=500)
    assert first.granted <= 2
    await pumps.set(trial_at=await pumps.get("trial_at") - 2500, requests_at=await pumps.get("requests_at") - 5000)
    assert (await pumps.ask(requests_per_minute=60_000, want=500)).granted >= 400


async def test_sync_refused_again_after_a_block_it_is_left_alone_for_longer_than_it_asks(pumps: Pumps) -> None:
    waits = []
    for _ in range(5):
        waits.append((await pumps.ask(throttled=1, retry_after_ms=100)).blocked_ms)
        await pumps.set(blocked=await pumps.get("limit_at"))
    assert waits == pytest.approx([100, 1000, 2000, 4000, 8000], rel=0.05)


async def test_sync_the_shortest_block_is_a_twentieth_of_a_second(pumps: Pumps) -> None:
    assert 40 <= (await pumps.ask(throttled=1, retry_after_ms=1)).blocked_ms <= 50


async def test_sync_a_pace_that_was_refused_is_slowed_once_in_five_seconds_and_comes_back(pumps: Pumps) -> None:
    for _ in range(3):
        refused = await pumps.ask(requests_per_minute=6000, throttled=1, retry_after_ms=50)
    assert refused.rate_per_second == pytest.approx(98 * 0.7)
    for _ in range(8):
        await pumps.set(limit_at=0)
        refused = await pumps.ask(requests_per_minute=6000, throttled=1, retry_after_ms=50)
    assert refused.rate_per_second == pytest.approx(98 * 0.25)
    for _ in range(20):
        await pumps.set(limit_at=0, throttled_at=0, blocked=0)
        clean = await pumps.ask(requests_per_minute=6000, ok=1)
    assert clean.rate_per_second == pytest.approx(98)


async def test_sync_a_refusal_that_comes_with_a_lower_limit_does_not_slow_the_pace_as_well(pumps: Pumps) -> None:
    refused = await pumps.ask(requests_per_minute=6000, told_requests=3000, throttled=1, retry_after_ms=50)
    assert refused.rate_per_second == pytest.approx(49)


async def test_sync_an_edited_row_forgets_blocks_and_what_was_told(pumps: Pumps) -> None:
    blocked = await pumps.ask(requests_per_minute=6000, told_requests=60, throttled=1, retry_after_ms=86_400_000)
    assert blocked.blocked_ms > 86_000_000
    edited = await pumps.ask(requests_per_minute=6000, version="2")
    assert (edited.blocked_ms, edited.rate_per_second) == (0, pytest.approx(98))


async def test_sync_a_block_of_a_day_is_remembered_for_a_day(pumps: Pumps) -> None:
    await pumps.ask(throttled=1, retry_after_ms=86_400_000)
    assert await pumps.shared.redis.pttl(f"limits:{{{pumps.bucket.key}}}") > 86_400_000


# --- edits and loss -------------------------------------------------------------------------------------------------


async def test_sync_an_edited_limit_counts_at_the_next_word(pumps: Pumps) -> None:
    await pumps.ask("a", requests_per_minute=6000, want=50)
    edited = await pumps.ask("b", requests_per_minute=600, version="2", want=50)
    assert (edited.granted, edited.rate_per_second) == (9, pytest.approx(9.8))


async def test_sync_a_forgotten_bucket_waits_until_all_have_said_what_they_hold(pumps: Pumps) -> None:
    await pumps.ask("a", max_concurrency=20)
    await pumps.shared.redis.delete(f"limits:{{{pumps.bucket.key}}}")
    assert (await pumps.ask("a", max_concurrency=20, held=9, want=9, is_known=True)).granted == 0
    await pumps.ask("b", max_concurrency=20, held=9, is_known=True)
    await pumps.set(forgotten_until=1)
    assert (await pumps.ask("a", max_concurrency=20, held=9, want=9)).granted == 0
    assert (await pumps.ask("b", max_concurrency=20, held=0, want=9)).granted == 9


async def test_sync_a_tenth_of_a_rate_is_held_back_for_callers(pumps: Pumps) -> None:
    bulk = await pumps.ask("bulk", requests_per_minute=6000, want=500)
    caller = await pumps.ask("caller", requests_per_minute=6000, want=500, is_interactive=True)
    assert bulk.granted == 88
    assert 9 <= caller.granted <= 10 + 98 * pumps.age


# --- the breaker's probes and epochs --------------------------------------------------------------------------------


async def half_open(pumps: Pumps) -> None:
    await pumps.ask(failed=10)
    await pumps.set(open_until=0)
    assert (await pumps.ask("a", want=3)).granted == 3
    assert (await pumps.ask("b", want=3)).granted == 0


@pytest.mark.parametrize("ended", [{"returned": 3}, {"undecided": 3}])
async def test_sync_a_probe_that_was_not_used_or_came_back_undecided_is_free_again(pumps: Pumps, ended: dict[str, int]) -> None:
    await half_open(pumps)
    assert (await pumps.ask("a", **ended)).breaker == "half-open"
    assert (await pumps.ask("b", want=3)).granted == 3


async def test_sync_a_killed_pumps_probes_are_free_again_when_its_share_is(pumps: Pumps) -> None:
    await half_open(pumps)
    await pumps.set(**{"pump:a": "3,1000"}, probes_at=await pumps.get("probes_at") - 2001)
    assert (await pumps.ask("b", want=3)).granted == 3


async def test_sync_good_probes_one_by_one_close_it(pumps: Pumps) -> None:
    await half_open(pumps)
    for _ in range(2):
        assert (await pumps.ask("a", ok=1, held=2)).breaker == "half-open"
        assert (await pumps.ask("b", want=3)).granted == 0
    assert (await pumps.ask("a", ok=1)).breaker == "closed"


async def test_sync_what_was_begun_before_it_opened_says_nothing_about_now(pumps: Pumps) -> None:
    await half_open(pumps)
    assert (await pumps.ask("b", failed=9, epoch=0)).breaker == "half-open"
    await pumps.ask("a", ok=3)
    assert (await pumps.ask("b", failed=20, epoch=0)).breaker == "closed"
    assert (await pumps.ask("b", failed=20, epoch=1)).breaker == "open"


async def test_sync_open_for_ten_seconds_then_half_as_long_again_up_to_thirty(pumps: Pumps) -> None:
    lengths = [(await pumps.ask(failed=10)).blocked_ms]
    for _ in range(4):
        await pumps.set(open_until=0)
        await pumps.ask(want=1)
        lengths.append((await pumps.ask(failed=1)).blocked_ms)
    assert lengths == pytest.approx([10_000, 15_000, 22_500, 30_000, 30_000], rel=0.01)


async def test_sync_outcomes_older_than_ten_seconds_do_not_count(pumps: Pumps) -> None:
    await pumps.ask(failed=9)
    name = f"limits:{{{pumps.bucket.key}}}:seen"
    old = [f"{int(entry.split(',')[0]) - 10_001},1" for entry in await pumps.shared.redis.lrange(name, 0, -1)]
    await pumps.shared.redis.delete(name)
    await pumps.shared.redis.lpush(name, *old)
    assert (await pumps.ask(failed=9)).breaker == "closed"


async def test_sync_the_retry_budget_fills_slowly_by_itself(pumps: Pumps) -> None:
    await pumps.ask(retry_cost=500)
    await pumps.set(budget_at=await pumps.get("budget_at") - 60_000)
    assert 60 <= (await pumps.ask()).budget <= 60.01 + pumps.age
