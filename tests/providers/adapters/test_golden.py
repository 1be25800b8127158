"""Answers as providers document them, priced to the last digit: what stands inside what, bucket by bucket.

Each case has its sum written out by hand, and the package genai-prices reads the same answer at the same prices as a second opinion.
Where the two differ, the case says why.
"""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from genai_prices import Usage
from genai_prices.data import providers
from genai_prices.types import ModelPrice, Tier, TieredPrices

from apps.providers.adapters import ADAPTERS
from apps.providers.domain.answers import Reading, WireAnswer
from apps.providers.domain.check_reading import check_reading
from apps.spend.domain.pricing import PriceRow, cost_of
from apps.spend.domain.usage import TokenUsage

CASES = [(path.stem, case) for path in sorted(Path(__file__).with_name("golden").glob("*.json")) for case in json.loads(path.read_text())]
BY_CASE = pytest.mark.parametrize("case", [case for _, case in CASES], ids=[f"{name}: {case['name']}" for name, case in CASES])
NOW = datetime(2026, 11, 1, tzinfo=UTC)
_THEIRS = {
    "input": "input_mtok", "cached_input": "cache_read_mtok", "cache_write": "cache_write_mtok", "cache_write_1h": "cache_write_1h_mtok",
    "output": "output_mtok", "reasoning": "output_reasoning_mtok", "audio_input": "input_audio_mtok", "audio_output": "output_audio_mtok",
}  # fmt: skip


def read(case: dict[str, Any]) -> Reading:
    body = json.dumps(case["answer"]).encode()
    reading = ADAPTERS[case["kind"]].read(WireAnswer(sent_at=NOW, duration_seconds=1.0, status=200, body=body))
    # As long as what is reported of it: a report far beyond its request is noted, which is shown elsewhere.
    request = json.dumps({"metadata": "word " * sum(case["buckets"].values())}).encode()
    return check_reading(reading, endpoint=case["endpoint"], request=request, answer=reading.translated or body)


def price_of(case: dict[str, Any]) -> PriceRow:
    amounts = {f"{name}_usd_per_million": Decimal(text) for name, text in case["prices"].items() if name != "tiers"}
    return PriceRow(
        id=UUID(int=1), provider_id=UUID(int=2), upstream_model="m", effective_from=NOW, tiers=case["prices"].get("tiers"), **amounts
    )


def their_cost(case: dict[str, Any]) -> Decimal:
    """The package's own reading of the answer, at the prices of the case."""
    name, flavor = case["list"]
    provider = next(provider for provider in providers if provider.id == name)
    _, usage = provider.extract_usage(case["answer"], api_flavor=flavor)
    prices: dict[str, Any] = {_THEIRS[bucket]: Decimal(text) for bucket, text in case["prices"].items() if bucket != "tiers"}
    for tier in case["prices"].get("tiers", ()):
        for bucket in set(case["prices"]) - {"tiers"}:
            given = tier.get(f"{bucket}_usd_per_million")
            if given is not None:
                start = tier["above_input_tokens"]
                prices[_THEIRS[bucket]] = TieredPrices(prices[_THEIRS[bucket]], [Tier(start, Decimal(given))])
    total: Decimal = ModelPrice(**prices).calc_price(usage)["total_price"]
    assert isinstance(usage, Usage)
    return total


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 25
    assert len({name for name, _ in CASES}) >= 4


@BY_CASE
def test_buckets(case: dict[str, Any]) -> None:
    usage = read(case).usage
    assert usage == TokenUsage(**{f"{bucket}_tokens": count for bucket, count in case["buckets"].items()})
    assert usage.total_input_tokens + usage.total_output_tokens == sum(case["buckets"].values())


@BY_CASE
def test_nothing_about_it_is_doubted_and_the_report_is_kept(case: dict[str, Any]) -> None:
    reading = read(case)
    assert reading.note == ""
    assert reading.raw_usage == case["answer"]["usage"]


@BY_CASE
def test_cost_to_the_last_digit(case: dict[str, Any]) -> None:
    usage = read(case).usage
    assert usage is not None
    assert cost_of(usage, price_of(case)) == Decimal(case["cost_usd"]), case["arithmetic"]


@BY_CASE
def test_the_second_opinion_agrees_or_the_difference_is_explained(case: dict[str, Any]) -> None:
    other = case.get("second_opinion")
    assert their_cost(case) == Decimal(other["cost_usd"] if other else case["cost_usd"])
    assert other is None or (other["why"] and other["cost_usd"] != case["cost_usd"])
