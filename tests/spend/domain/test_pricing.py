"""Which price holds at a moment, and what a call costs by it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.spend.domain.pricing import PriceBook, PriceRow, TiersInvalidError, cost_of, most_cost_of, read_tiers
from apps.spend.domain.usage import TokenUsage

PROVIDER = UUID(int=1)
JANUARY, MARCH = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
MILLION = 1_000_000


def price(effective_from: datetime = JANUARY, **values: Any) -> PriceRow:
    given: dict[str, Any] = {"input_usd_per_million": Decimal("0.15"), "output_usd_per_million": Decimal("0.60")}
    return PriceRow(id=UUID(int=9), provider_id=PROVIDER, upstream_model="m", effective_from=effective_from, **given | values)


def test_price_the_newest_that_has_begun_holds() -> None:
    old, new = price(JANUARY), price(MARCH, input_usd_per_million=Decimal(1))
    for book in (PriceBook([old, new]), PriceBook([new, old])):
        assert book.price(PROVIDER, "m", JANUARY) is old
        assert book.price(PROVIDER, "m", MARCH - timedelta(microseconds=1)) is old
        assert book.price(PROVIDER, "m", MARCH) is new
        assert book.price(PROVIDER, "m", MARCH + timedelta(days=999)) is new


def test_price_is_not_known_before_the_first_nor_for_others() -> None:
    book = PriceBook([price(MARCH)])
    assert book.price(PROVIDER, "m", JANUARY) is None
    assert book.price(UUID(int=2), "m", MARCH) is None
    assert book.price(PROVIDER, "other", MARCH) is None
    assert PriceBook([]).price(PROVIDER, "m", MARCH) is None


def test_cost_each_bucket_by_its_own_price() -> None:
    row = price(
        cached_input_usd_per_million=Decimal("0.075"),
        cache_write_usd_per_million=Decimal("0.20"),
        reasoning_usd_per_million=Decimal("0.90"),
        request_usd=Decimal("0.001"),
    )
    usage = TokenUsage(
        input_tokens=MILLION,
        cached_input_tokens=2 * MILLION,
        cache_write_tokens=3 * MILLION,
        output_tokens=4 * MILLION,
        reasoning_tokens=5 * MILLION,
    )
    assert cost_of(usage, row) == Decimal("0.15") + Decimal("0.15") + Decimal("0.60") + Decimal("2.40") + Decimal("4.50") + Decimal("0.001")


def test_cost_a_bucket_without_a_price_costs_what_its_kind_costs() -> None:
    assert cost_of(TokenUsage(cached_input_tokens=MILLION), price()) == Decimal("0.15")
    assert cost_of(TokenUsage(cache_write_tokens=MILLION), price()) == Decimal("0.15")
    assert cost_of(TokenUsage(reasoning_tokens=MILLION), price()) == Decimal("0.60")


def test_cost_a_price_of_nothing_is_nothing_and_not_missing() -> None:
    free = price(cached_input_usd_per_million=Decimal(0), reasoning_usd_per_million=Decimal(0))
    assert cost_of(TokenUsage(cached_input_tokens=MILLION, reasoning_tokens=MILLION), free) == 0


def test_cost_of_one_token_is_exact() -> None:
    assert cost_of(TokenUsage(input_tokens=1), price(input_usd_per_million=Decimal("0.000001"))) == Decimal("0.000000000001")


def test_unit_prices_as_a_charge_keeps_them() -> None:
    assert orjson.loads(price().json) == {
        "input": "0.15",
        "cached_input": "0.15",
        "cache_write": "0.15",
        "output": "0.60",
        "reasoning": "0.60",
        "request": "0",
    }


_TOKENS, _DOLLARS = st.integers(0, 10**9), st.decimals(0, 10**4, places=6)


@given(st.builds(TokenUsage, _TOKENS, _TOKENS, st.just(0), _TOKENS, _TOKENS), _DOLLARS, _DOLLARS)
def test_cost_is_the_sum_of_its_parts(usage: TokenUsage, input_usd: Decimal, output_usd: Decimal) -> None:
    row = price(input_usd_per_million=input_usd, output_usd_per_million=output_usd)
    written = TokenUsage(output_tokens=usage.output_tokens, reasoning_tokens=usage.reasoning_tokens)
    given_ = TokenUsage(usage.input_tokens, usage.cached_input_tokens)
    assert cost_of(usage, row) == cost_of(given_, row) + cost_of(written, row)
    assert cost_of(usage, row) * MILLION == usage.total_input_tokens * input_usd + usage.total_output_tokens * output_usd


LONG = [{"above_input_tokens": 200_000, "input_usd_per_million": "0.30", "output_usd_per_million": "1.20"}]


def test_cost_a_long_context_costs_more_for_all_its_tokens() -> None:
    row = price(tiers=LONG, cached_input_usd_per_million=Decimal("0.01"))
    assert cost_of(TokenUsage(input_tokens=200_000, output_tokens=1000), row) == Decimal("0.0306")
    assert cost_of(TokenUsage(input_tokens=200_001, output_tokens=1000), row) == Decimal("0.0612003")
    # What is read from a cache makes a context long too; a price that the tier leaves out stays.
    assert cost_of(TokenUsage(input_tokens=1, cached_input_tokens=200_000), row) == Decimal("0.0020003")


def test_cost_of_several_calls_is_that_of_their_own_lengths() -> None:
    row = price(tiers=LONG)
    usage = TokenUsage(input_tokens=MILLION)
    assert cost_of(usage, row) == Decimal("0.30")
    assert cost_of(usage, row, context_tokens=100_000) == Decimal("0.15")


def test_cost_of_two_tiers_is_that_of_the_highest_that_is_reached() -> None:
    row = price(tiers=[{"above_input_tokens": 100, "input_usd_per_million": "2"}, {"above_input_tokens": 10, "input_usd_per_million": "1"}])
    assert [cost_of(TokenUsage(input_tokens=n), row) * MILLION for n in (10, 11, 101)] == [Decimal("1.5"), Decimal(11), Decimal(202)]


def test_cost_kinds_with_a_price_of_their_own() -> None:
    row = price(
        cache_write_usd_per_million=Decimal(1),
        audio_input_usd_per_million=Decimal(3),
        audio_output_usd_per_million=Decimal(5),
        image_output_usd_per_million=Decimal(7),
    )
    usage = TokenUsage(cache_write_1h_tokens=1, audio_input_tokens=10, image_input_tokens=100, audio_output_tokens=1, image_output_tokens=1)
    # An hour in the cache as any cache write, an image as text: neither has a price here.
    assert cost_of(usage, row) * MILLION == 1 + 30 + 15 + 5 + 7
    assert (usage.fresh_input_tokens, usage.written_tokens, usage.said_tokens) == (110, 1, 2)
    assert usage.parts() == {"cache_write_1h": 1, "audio_input": 10, "image_input": 100, "audio_output": 1, "image_output": 1}


def test_unit_prices_tell_the_kinds_that_have_a_price() -> None:
    row = price(audio_input_usd_per_million=Decimal(3), tiers=LONG)
    assert orjson.loads(row.json)["audio_input"] == "3"
    assert "image_input" not in orjson.loads(row.json)
    assert orjson.loads(row.level(200_001).json)["output"] == "1.20"


def test_most_cost_is_that_of_the_dearest_tier_within_reach() -> None:
    row = price(tiers=LONG)
    assert most_cost_of(input_tokens=200_000, output_tokens=0, price=row) == Decimal("0.03")
    assert most_cost_of(input_tokens=400_000, output_tokens=0, price=row) == Decimal("0.12")


@pytest.mark.parametrize(
    ("tiers", "told"),
    [
        ({}, "list"),
        ([1], "list"),
        ([{"input_usd_per_million": "1"}], "above_input_tokens"),
        ([{"above_input_tokens": True, "input_usd_per_million": "1"}], "above_input_tokens"),
        ([{"above_input_tokens": 5}], "at least one price"),
        ([{"above_input_tokens": 5, "input": "1"}], "'input'"),
        ([{"above_input_tokens": 5, "input_usd_per_million": "-1"}], "Tier 1: input_usd_per_million"),
        ([{"above_input_tokens": 5, "input_usd_per_million": "NaN"}], "Tier 1: input_usd_per_million"),
        ([{"above_input_tokens": 5, "input_usd_per_million": "1"}] * 2, "Two tiers"),
    ],
)
def test_tiers_that_are_wrong_are_refused_by_name(tiers: Any, told: str) -> None:
    with pytest.raises(TiersInvalidError, match=told):
        read_tiers(tiers)


def test_tiers_are_kept_in_one_form() -> None:
    assert read_tiers([]) is None
    tiers = [
        {"above_input_tokens": 9, "input_usd_per_million": "1.50"},
        {"above_input_tokens": 5, "output_usd_per_million": 2},
    ]
    assert read_tiers(tiers) == [
        {"above_input_tokens": 5, "output_usd_per_million": "2"},
        {"above_input_tokens": 9, "input_usd_per_million": "1.5"},
    ]
