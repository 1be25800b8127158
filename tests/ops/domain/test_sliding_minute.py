"""No sixty seconds hold more than the limit, wherever they begin."""

from hypothesis import given
from hypothesis import strategies as st

from apps.ops.domain.sliding_minute import Most, SlidingMinute


def take(minute: SlidingMinute, now: float, tokens: int = 10, *, requests: int | None = None, most: int | None = None) -> float:
    return minute.take(now=now, input_tokens=tokens // 2, output_tokens=tokens - tokens // 2, most=Most(requests, most))


def test_without_limits_everything_fits() -> None:
    minute = SlidingMinute()
    assert [take(minute, 0.0) for _ in range(1000)] == [0.0] * 1000


def test_requests_wait_until_the_oldest_is_a_minute_old() -> None:
    minute = SlidingMinute()
    assert [take(minute, now, requests=2) for now in (0.0, 10.0, 20.0, 59.0, 60.0, 61.0)] == [0.0, 0.0, 40.0, 1.0, 0.0, 9.0]


def test_tokens_wait_until_enough_have_left() -> None:
    minute = SlidingMinute()
    assert [take(minute, now, 40, most=100) for now in (0.0, 10.0, 20.0)] == [0.0, 0.0, 40.0]
    assert take(minute, 20.0, 100, most=100) == 50.0
    assert take(minute, 60.0, 40, most=100) == 0.0
    assert minute.used(60.0) == (2, 80, 40, 40)


def test_what_never_fits_waits_a_minute() -> None:
    assert take(SlidingMinute(), 0.0, 101, most=100) == 60.0


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(1, 50)), max_size=60))
def test_no_minute_holds_more_than_the_limits(steps: list[tuple[float, int]]) -> None:
    minute, now, taken = SlidingMinute(), 0.0, list[tuple[float, int]]()
    for pause, tokens in steps:
        now += pause
        if take(minute, now, tokens, requests=5, most=120) == 0.0:
            taken.append((now, tokens))
    for start, _ in taken:
        within = [tokens for at, tokens in taken if start <= at < start + 59.999]
        assert len(within) <= 5
        assert sum(within) <= 120
