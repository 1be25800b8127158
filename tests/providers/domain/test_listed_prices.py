"""The list of the package, in our words; what it costs is asked of the package itself, so that a new edition changes no test."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from genai_prices import Usage, calc_price
from genai_prices.types import ClauseEquals, ConditionalPrice, ModelInfo, ModelPrice, StartDateConstraint, Tier, TieredPrices

from apps.providers.domain import listed_prices
from apps.providers.domain.listed_prices import find_prices, find_provider, list_names

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def listing(monkeypatch: pytest.MonkeyPatch, prices: Any) -> None:
    model = ModelInfo(id="m", match=ClauseEquals("m"), prices=prices)
    provider = SimpleNamespace(id="p", find_model=lambda name, all_providers: model if name == "m" else None)
    monkeypatch.setattr(listed_prices, "_providers", lambda: (provider,))


def test_a_provider_is_known_by_its_address_or_its_kind() -> None:
    assert find_provider(base_url="https://api.openai.com/v1", kind="openai") == "openai"
    assert find_provider(base_url="https://api.deepseek.com/v1", kind="openai") == "deepseek"
    assert find_provider(base_url="http://gateway:8080/v1", kind="anthropic") == "anthropic"
    assert find_provider(base_url="http://gateway:8080/v1", kind="openai") is None
    assert find_provider(base_url="http://gateway:8080/v1", kind="openai", given="mistral") == "mistral"
    assert find_provider(base_url="http://gateway:8080/v1", kind="openai", given="nobody") is None
    assert {"openai", "anthropic", "google", "mistral"} <= set(list_names())


@pytest.mark.parametrize(
    ("provider", "model"), [("openai", "gpt-4o-mini"), ("anthropic", "claude-3-5-haiku-latest"), ("mistral", "mistral-large-latest")]
)
def test_amounts_are_those_by_which_the_package_prices(provider: str, model: str) -> None:
    (listed,) = find_prices(provider, model, now=NOW)
    theirs = calc_price(Usage(input_tokens=1000, output_tokens=10), model, provider_id=provider, genai_request_timestamp=NOW)
    ours = (1000 * listed.prices["input_usd_per_million"] + 10 * listed.prices["output_usd_per_million"]) / 1_000_000
    assert ours == theirs.total_price > 0


def test_what_the_list_does_not_know_has_no_price() -> None:
    assert find_prices("openai", "a-model-of-nobody", now=NOW) == []


def test_dated_prices_hold_from_their_day_on(monkeypatch: pytest.MonkeyPatch) -> None:
    prices = [
        ConditionalPrice(prices=ModelPrice(input_mtok=Decimal(1))),
        ConditionalPrice(StartDateConstraint(date(2026, 2, 1)), prices=ModelPrice(input_mtok=Decimal(2))),
        ConditionalPrice(StartDateConstraint(NOW.date() + timedelta(days=9)), prices=ModelPrice(input_mtok=Decimal(3))),
    ]
    listing(monkeypatch, prices)
    found = find_prices("p", "m", now=NOW)
    assert [one.prices["input_usd_per_million"] for one in found] == [2, 3]
    assert found[1].starts_at == datetime(2026, 11, 30, tzinfo=UTC)
    assert [one.prices["input_usd_per_million"] for one in find_prices("p", "m", now=datetime(2026, 1, 1, tzinfo=UTC))] == [1, 2, 3]


def test_tiers_of_each_bucket_become_one_list(monkeypatch: pytest.MonkeyPatch) -> None:
    given = TieredPrices(Decimal(1), [Tier(100, Decimal(2)), Tier(200, Decimal(4))])
    written = TieredPrices(Decimal(5), [Tier(200, Decimal(7))])
    listing(monkeypatch, ModelPrice(input_mtok=given, output_mtok=written, cache_read_mtok=Decimal("0.1")))
    (listed,) = find_prices("p", "m", now=NOW)
    assert (listed.prices["input_usd_per_million"], listed.prices["output_usd_per_million"]) == (1, 5)
    assert listed.prices["tiers"] == [
        {"above_input_tokens": 100, "input_usd_per_million": "2"},
        {"above_input_tokens": 200, "input_usd_per_million": "4", "output_usd_per_million": "7"},
    ]


def test_a_thousand_requests_become_one_and_what_has_no_place_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    listing(monkeypatch, ModelPrice(input_mtok=Decimal(1), requests_kcount=Decimal(5), web_searches_kcount=Decimal(10)))
    (listed,) = find_prices("p", "m", now=NOW)
    assert listed.prices["request_usd"] == Decimal("0.005")
    assert listed.notes == ("not taken over: web_searches_kcount",)


def test_a_model_without_a_price_by_the_token_has_none_here(monkeypatch: pytest.MonkeyPatch) -> None:
    listing(monkeypatch, ModelPrice(audio_hours=Decimal(1)))
    assert find_prices("p", "m", now=NOW) == []


def test_of_prices_by_the_hour_the_dearest_is_taken() -> None:
    (listed,) = find_prices("deepseek", "deepseek-chat", now=NOW)
    for hour in range(24):
        theirs = calc_price(
            Usage(input_tokens=1000), "deepseek-chat", provider_id="deepseek", genai_request_timestamp=NOW.replace(hour=hour)
        )
        assert listed.prices["input_usd_per_million"] / 1000 >= theirs.total_price
    assert "the dearest price of the day, of several" in listed.notes
