"""What a call will probably use, and what providers say of their limits."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.providers.domain.limits import BucketLimits, Size, Told, count_tokens, estimate_tokens, read_reset, read_told
from apps.spend.domain.usage import TokenUsage

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("body", "usual", "tokens"),
    [
        (b"x" * 320, None, (100, 4096)),
        (b"x" * 320, 50.0, (100, 66)),
        (b'{"max_tokens": 7}', None, (5, 7)),
        (b'{"max_completion_tokens":7}', None, (8, 7)),
        (b'{"max_output_tokens" : 7}', None, (7, 7)),
        (b'{"max_tokens": 700}', 10.0, (5, 14)),
        (b'{"max_tokens": null}', None, (6, 4096)),
        (b'{"content": "say \\"max_tokens\\": 1"}', None, (11, 4096)),
    ],
)
def test_estimate(body: bytes, usual: float | None, tokens: tuple[int, int]) -> None:
    assert estimate_tokens(body, max_output_tokens=4096, usual_output_tokens=usual) == Size(*tokens)


def test_estimate_input_by_what_was_usual_at_the_target() -> None:
    assert estimate_tokens(b"x" * 1_000_000, max_output_tokens=10, bytes_a_token=1000.0) == (1000, 10)


@given(st.binary(), st.integers(1, 10**6), st.none() | st.floats(0, 10**6))
def test_estimate_is_never_negative(body: bytes, most: int, usual: float | None) -> None:
    assert min(estimate_tokens(body, max_output_tokens=most, usual_output_tokens=usual)) >= 0


OPENAI = {"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1s"}


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({}, Told()),
        (OPENAI, Told(requests=60, requests_left=0, hold_seconds=1.0)),
        (OPENAI | {"x-ratelimit-remaining-requests": "12"}, Told(requests=60, requests_left=12)),
        (
            {"x-ratelimit-limit-tokens": "1000", "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"},
            Told(tokens=1000, tokens_left=0, hold_seconds=360.0),
        ),
        (
            {
                "anthropic-ratelimit-requests-limit": "50",
                "anthropic-ratelimit-requests-remaining": "49",
                "anthropic-ratelimit-tokens-limit": "80000",
                "anthropic-ratelimit-tokens-remaining": "0",
                "anthropic-ratelimit-tokens-reset": "2026-11-21T12:00:30Z",
            },
            Told(requests=50, tokens=80000, requests_left=49, tokens_left=0, hold_seconds=30.0),
        ),
        (
            {
                "anthropic-ratelimit-output-tokens-limit": "8000",
                "anthropic-ratelimit-output-tokens-remaining": "0",
                "anthropic-ratelimit-output-tokens-reset": "2026-11-21T12:00:07+00:00",
            },
            Told(hold_seconds=7.0, output_tokens=8000, output_tokens_left=0),
        ),
        (
            {
                "anthropic-ratelimit-input-tokens-limit": "40000",
                "anthropic-ratelimit-input-tokens-remaining": "12000",
                "anthropic-ratelimit-output-tokens-limit": "-1",
            },
            Told(input_tokens=40000, input_tokens_left=12000),
        ),
        ({"x-ratelimit-limit-requests": "-1", "x-ratelimit-remaining-requests": "0"}, Told()),
        ({"x-ratelimit-limit-requests": "0", "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "9s"}, Told()),
        ({"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "-1"}, Told(requests=60)),
        ({"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "61"}, Told(requests=60)),
        ({"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "many"}, Told(requests=60)),
        ({"x-ratelimit-limit-requests": "inf"}, Told()),
        ({"x-ratelimit-limit-requests": "nan"}, Told()),
        ({"x-ratelimit-limit-requests": "plenty"}, Told()),
    ],
)
def test_told(headers: dict[str, str], told: Told) -> None:
    assert read_told(headers, now=NOW) == told


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1.0),
        ("120ms", 0.12),
        ("6m0s", 360.0),
        ("1h2m3.5s", 3723.5),
        ("1d", 86400.0),
        ("12", 12.0),
        ("0.5", 0.5),
        ("2026-11-21T12:01:00Z", 60.0),
        ("2026-11-21T12:01:00", 60.0),
        ("2026-11-21T11:00:00Z", 0.0),
        ("", 0.0),
        ("soon", 0.0),
        ("1s and a bit", 0.0),
        ("-5", 0.0),
    ],
)
def test_reset(text: str, seconds: float) -> None:
    assert read_reset(text, now=NOW) == pytest.approx(seconds)


@given(st.dictionaries(st.sampled_from([*OPENAI, "x-ratelimit-limit-tokens", "anthropic-ratelimit-tokens-limit"]), st.text()))
def test_told_of_hostile_texts_is_ignored_or_sensible(headers: dict[str, str]) -> None:
    told = read_told(headers, now=NOW)
    assert min(told.requests, told.tokens, told.hold_seconds) >= 0
    assert min(told.requests_left, told.tokens_left) >= -1


def test_rates_and_concurrency() -> None:
    assert BucketLimits().is_unlimited
    assert not BucketLimits(max_concurrency=1).has_rates
    assert BucketLimits(tokens_per_minute=1).has_rates
    for one in (BucketLimits(input_tokens_per_minute=1), BucketLimits(output_tokens_per_minute=1)):
        assert (one.has_rates, one.has_tokens, one.is_unlimited) == (True, True, False)


def test_what_limits_count_of_a_usage() -> None:
    usage = TokenUsage(input_tokens=5, cached_input_tokens=100, cache_write_tokens=20, output_tokens=7, reasoning_tokens=3)
    assert count_tokens(usage, is_cached_free=False) == (125, 10)
    assert count_tokens(usage, is_cached_free=True) == (25, 10)


def test_an_old_answer_tells_of_limits_and_not_of_what_is_left() -> None:
    told = Told(60, 1000, 5, 6, 7.0, input_tokens=8, output_tokens=9, input_tokens_left=1, output_tokens_left=2)
    assert told.without_levels() == Told(60, 1000, input_tokens=8, output_tokens=9)
