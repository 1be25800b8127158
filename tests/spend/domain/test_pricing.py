"""Which price holds at a moment, and what a call costs by it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
from hypothesis import given
from hypothesis import strategies as st

from apps.spend.domain.pricing import PriceBook, PriceRow, cost_of
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
