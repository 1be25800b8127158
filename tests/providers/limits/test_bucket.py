"""One pump's side of a bucket: what it gives out by itself, alone, and how much it lets be claimed."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.providers.domain.limits import NO_TOKENS, BucketLimits, Size
from apps.providers.domain.outcomes import Outcome
from apps.providers.limits.bucket import Bucket
from apps.providers.limits.talk import Answer, Waiter


def make_bucket(*, is_interactive: bool = False, said: dict[str, Any] | None = None, **limits: int) -> Bucket:
    bucket = Bucket("target:x", BucketLimits(**limits), has_breaker=True, is_interactive=is_interactive)
    if said is not None:
        bucket.hear(Answer(**({"pumps": 1} | said)), 0.0)
    return bucket


def add_waiters(bucket: Bucket, count: int, *, tokens: float = 0.0, output: float = 0.0) -> list[Waiter]:
    waiters = [Waiter(asyncio.get_running_loop().create_future(), Size(tokens, output)) for _ in range(count)]
    bucket.waiters.extend(waiters)
    return waiters


def came(waiters: list[Waiter]) -> int:
    return sum(waiter.future.done() and waiter.future.result() for waiter in waiters)


# --- alone ----------------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(
    per_minute=st.integers(1, 100_000),
    pumps=st.integers(1, 20),
    pauses=st.lists(st.floats(0.01, 5.0), min_size=1, max_size=40),
)
def test_alone_a_pump_takes_at_most_half_of_its_part(per_minute: int, pumps: int, pauses: list[float]) -> None:
    async def run() -> None:
        bucket = make_bucket(requests_per_minute=per_minute, said={"pumps": pumps})
        now, taken, waiters = 0.0, 0, add_waiters(bucket, 2000)
        for pause in [0.0, *pauses]:
            now += pause
            bucket.share_locally(now)
            taken = came(waiters)
        half = per_minute / 60 / pumps / 2
        # Over any time, beyond what one second gives at once (but one call at least).
        assert taken <= half * now + max(1.0, half) + 0.001

    asyncio.run(run())


async def test_alone_a_pump_that_never_heard_from_redis_takes_a_small_part() -> None:
    bucket = make_bucket(requests_per_minute=6000)
    waiters = add_waiters(bucket, 1000)
    for step in range(101):
        bucket.share_locally(step / 10)
    assert 0 < came(waiters) <= 100 / 16 / 2 * 11


async def test_alone_concurrency_is_half_of_its_part_and_at_least_one() -> None:
    bucket = make_bucket(max_concurrency=40, said={"pumps": 2, "limit": 40})
    waiters = add_waiters(bucket, 30)
    for step in range(10):
        bucket.share_locally(step / 10)
    assert came(waiters) == 10
    small = make_bucket(max_concurrency=1, said={"pumps": 4, "limit": 1})
    few = add_waiters(small, 3)
    small.share_locally(0.0)
    assert came(few) == 1


async def test_alone_tokens_are_half_of_its_part() -> None:
    bucket = make_bucket(tokens_per_minute=60_000, said={"pumps": 1})
    waiters = add_waiters(bucket, 1000, tokens=100)
    for step in range(101):
        bucket.share_locally(step / 10)
    assert came(waiters) * 100 <= 500 * 11 + 100


async def test_alone_output_is_half_of_its_part_whatever_goes_in() -> None:
    bucket = make_bucket(output_tokens_per_minute=60_000, said={"pumps": 1})
    waiters = add_waiters(bucket, 1000, tokens=10_000, output=100)
    for step in range(101):
        bucket.share_locally(step / 10)
    assert 500 < came(waiters) * 100 <= 500 * 11 + 100


async def test_alone_a_block_and_an_open_breaker_still_hold() -> None:
    blocked = make_bucket(said={"blocked_ms": 5000, "breaker": "open"})
    waiters = add_waiters(blocked, 9)
    blocked.share_locally(1.0)
    assert came(waiters) == 0
    blocked.share_locally(6.0)
    assert came(waiters) == 1


async def test_alone_what_nothing_bounds_stays_unbounded() -> None:
    bucket = make_bucket(said={})
    waiters = add_waiters(bucket, 9)
    bucket.share_locally(1.0)
    assert came(waiters) == 9


# --- how much may be claimed ----------------------------------------------------------------------------------------


@given(
    requests=st.none() | st.integers(1, 10**6),
    tokens=st.none() | st.integers(1, 10**9),
    most=st.none() | st.integers(1, 10_000),
    pumps=st.integers(1, 50),
    breaker=st.sampled_from(["closed", "half-open"]),
)
def test_allowance_is_at_most_a_second_of_each_limit(
    requests: int | None, tokens: int | None, most: int | None, pumps: int, breaker: str
) -> None:
    bucket = Bucket("target:x", BucketLimits(requests, tokens, most), has_breaker=True, is_interactive=False)
    bucket.hear(Answer(pumps=pumps, breaker=breaker, limit=most or 0), 0.0)
    allowance = bucket.allowance(0.0)
    if bucket.is_free(0.0):
        assert allowance is None
        return
    assert allowance is not None
    assert allowance >= 1
    if requests:
        assert allowance <= requests / 60 / pumps + 1
    if most:
        assert allowance <= most * 1.1 + 1
    if breaker == "half-open":
        assert allowance <= 3


async def test_allowance_leaves_out_those_who_wait() -> None:
    bucket = make_bucket(requests_per_minute=600, said={})
    assert bucket.allowance(0.0) == 10
    add_waiters(bucket, 7)
    assert bucket.allowance(0.0) == 3
    add_waiters(bucket, 7)
    assert bucket.allowance(0.0) == 0


def test_allowance_by_tokens_follows_what_calls_usually_take() -> None:
    bucket = make_bucket(tokens_per_minute=600_000, said={"tokens_per_second": 9800.0})
    bucket.take(Size(480.0, 500.0), 0.0)
    assert bucket.allowance(0.0) == 10


def test_allowance_follows_the_nearer_of_input_and_output() -> None:
    bucket = make_bucket(
        input_tokens_per_minute=600_000, output_tokens_per_minute=60_000, said={"input_per_second": 9800.0, "output_per_second": 980.0}
    )
    bucket.take(Size(490.0, 98.0), 0.0)
    assert bucket.allowance(0.0) == 10


async def test_input_and_output_are_booked_and_corrected_apart() -> None:
    bucket = make_bucket(output_tokens_per_minute=60_000, said={})
    add_waiters(bucket, 3, tokens=30, output=500)
    asked = bucket.question("a", 0.1)
    assert (asked["want"], asked["want_input"], asked["want_output"]) == (3, 90, 1500)
    bucket.hear(Answer(granted=2, input_each=30.0, output_each=500.0), 0.1)
    # Booked as estimated: nothing is left to be told but what comes to light.
    assert (bucket.news.input_delta, bucket.news.output_delta, bucket.held) == (0, 0, 2)
    bucket.give_back(Size(30, 500), 0.2)
    bucket.news.charge(Size(2, -480))
    told = bucket.question("a", 0.3)
    assert (told["input_delta"], told["output_delta"]) == (-28, -980)


async def test_permits_that_nobody_takes_go_back_with_their_tokens() -> None:
    bucket = make_bucket(output_tokens_per_minute=60_000, said={})
    bucket.hear(Answer(granted=2, input_each=30.0, output_each=500.0), 0.1)
    told = bucket.question("a", 0.3)
    assert (told["returned"], told["input_delta"], told["output_delta"]) == (2, -60, -1000)


def test_allowance_is_none_at_all_while_closed() -> None:
    assert make_bucket(said={"blocked_ms": 1000}).allowance(0.5) == 0


def test_allowance_of_a_full_bucket_is_a_tenth_ahead() -> None:
    bucket = make_bucket(max_concurrency=100, said={"limit": 100, "in_flight": 100})
    bucket.held = 100
    assert bucket.allowance(0.0) == 10


# --- free, and not --------------------------------------------------------------------------------------------------


def test_what_nothing_bounds_is_free_until_redis_has_been_silent() -> None:
    bucket = make_bucket(said={})
    assert bucket.take(NO_TOKENS, 0.5)
    assert not bucket.take(NO_TOKENS, 5.0)
    assert bucket.allowance(5.0) == 100
    assert bucket.is_due(5.0)


def test_after_ten_failures_in_a_row_redis_is_asked_before_each_call() -> None:
    bucket = make_bucket(said={})
    for _ in range(10):
        assert bucket.take(NO_TOKENS, 0.1)
    for _ in range(10):
        bucket.note(Outcome.FAILED_UPSTREAM, epoch=0)
    assert not bucket.take(NO_TOKENS, 0.1)
    bucket.note(Outcome.OK, epoch=0)
    assert bucket.take(NO_TOKENS, 0.1)


def test_three_failures_without_an_answer_between_them_show_that_it_is_down() -> None:
    # One of them is another pump's.
    bucket = make_bucket(said={"row": 1})
    bucket.note(Outcome.FAILED_UPSTREAM, epoch=0)
    assert not bucket.is_down()
    bucket.note(Outcome.NOT_SENT, epoch=0)
    assert bucket.is_down()
    # Any good word shows that it lives; so does one by which it refuses a request as wrong.
    bucket.note(Outcome.REJECTED, epoch=0)
    assert not bucket.is_down()


@pytest.mark.parametrize(
    ("seconds", "tokens", "is_late"),
    [(9.0, 20, True), (9.0, 2000, False), (2.9, 20, False), (3.5, 300, False), (0.4, 1, False)],
    ids=["slow", "long", "a little slow", "somewhat longer", "short"],
)
def test_an_answer_is_late_that_takes_long_in_all_and_for_each_token(seconds: float, tokens: int, *, is_late: bool) -> None:
    bucket = make_bucket(said={"usual_ms": 1000.0, "usual_token_ms": 20.0})
    bucket.time(seconds, tokens)
    assert (bucket.news.late, len(bucket.news.took)) == (is_late, 1)
    unheard = make_bucket(said={})
    unheard.time(seconds, tokens)
    assert unheard.news.late == 0


def test_outcomes_of_an_epoch_that_is_over_are_not_told() -> None:
    bucket = make_bucket(said={"epoch": 3})
    bucket.note(Outcome.FAILED_UPSTREAM, epoch=2)
    bucket.note(Outcome.OK, epoch=3)
    assert (bucket.news.failed, bucket.news.ok) == (0, 1)
    bucket.hear(Answer(epoch=4), 1.0)
    assert bucket.news.ok == 0


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (Outcome.OK, (1, 0, 0)),
        (Outcome.REJECTED, (1, 0, 0)),
        (Outcome.NOT_SENT, (0, 1, 0)),
        (Outcome.FAILED_UPSTREAM, (0, 1, 0)),
        (Outcome.AMBIGUOUS, (0, 1, 0)),
        (Outcome.THROTTLED, (0, 0, 1)),
        (Outcome.CREDENTIAL, (0, 0, 1)),
    ],
)
def test_only_failures_count_against_a_target(outcome: Outcome, told: tuple[int, int, int]) -> None:
    bucket = make_bucket(said={})
    bucket.note(outcome, epoch=0)
    assert (bucket.news.ok, bucket.news.failed, bucket.news.undecided) == told


async def test_a_long_block_sends_bulk_work_away_and_lets_callers_wait() -> None:
    bulk, calls = make_bucket(said={}), make_bucket(is_interactive=True, said={})
    sent, kept = add_waiters(bulk, 2), add_waiters(calls, 2)
    for bucket in (bulk, calls):
        bucket.hear(Answer(blocked_ms=9000), 0.0)
    assert [waiter.future.result() for waiter in sent] == [False, False]
    assert not any(waiter.future.done() for waiter in kept)
