"""Prices are dated rows: a change is a new row, and the old one stays."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from apps.spend.actions import PriceTakenError, set_price
from apps.spend.models import Price
from apps.spend.queries import load_price_book

pytestmark = pytest.mark.django_db

PROVIDER = UUID(int=1)
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
CHEAP = {"input_usd_per_million": Decimal("0.15"), "output_usd_per_million": Decimal("0.60")}
DEAR = {"input_usd_per_million": Decimal(15), "output_usd_per_million": Decimal(60)}


def put(prices: dict[str, Decimal], *, starts_at: datetime | None = None, now: datetime = NOW, provider_id: UUID = PROVIDER) -> bool:
    return set_price(provider_id=provider_id, upstream_model="m", prices=prices, starts_at=starts_at, now=now)


def input_price(at: datetime) -> Decimal | None:
    row = load_price_book().price(PROVIDER, "m", at)
    return row.input_usd_per_million if row else None


def test_set_price_holds_from_now_on() -> None:
    assert put(CHEAP)
    assert input_price(NOW) == Decimal("0.15")
    assert input_price(NOW - timedelta(seconds=1)) is None


def test_set_price_a_change_is_a_new_row() -> None:
    put(CHEAP)
    later = NOW + timedelta(days=1)
    assert put(DEAR, now=later)
    assert (input_price(NOW), input_price(later)) == (Decimal("0.15"), Decimal(15))


def test_set_price_the_same_again_changes_nothing() -> None:
    put(CHEAP)
    assert not put(CHEAP, now=NOW + timedelta(days=1))
    assert not put({name: amount * Decimal("1.000") for name, amount in CHEAP.items()}, now=NOW + timedelta(days=1))
    assert Price.objects.count() == 1


def test_set_price_back_to_an_earlier_one_is_a_change() -> None:
    for day, prices in enumerate([CHEAP, DEAR, CHEAP]):
        assert put(prices, now=NOW + timedelta(days=day))
    assert Price.objects.count() == 3


def test_set_price_dated_the_same_again_changes_nothing() -> None:
    march = datetime(2026, 3, 1, tzinfo=UTC)
    assert put(CHEAP, starts_at=march)
    assert not put(CHEAP, starts_at=march)
    assert input_price(march) == Decimal("0.15")


def test_set_price_never_changes_a_row() -> None:
    put(CHEAP, starts_at=NOW)
    with pytest.raises(PriceTakenError):
        put(DEAR, starts_at=NOW)
    assert input_price(NOW) == Decimal("0.15")


def test_set_price_of_the_future_leaves_todays() -> None:
    put(CHEAP)
    put(DEAR, starts_at=NOW + timedelta(days=30))
    assert not put(CHEAP, now=NOW + timedelta(days=1))
    assert (input_price(NOW + timedelta(days=29)), input_price(NOW + timedelta(days=30))) == (Decimal("0.15"), Decimal(15))


def test_set_price_a_cached_price_of_nothing_is_not_a_missing_one() -> None:
    put(CHEAP)
    assert put(CHEAP | {"cached_input_usd_per_million": Decimal(0)}, now=NOW + timedelta(days=1))


def test_set_price_of_one_provider_is_not_anothers() -> None:
    put(CHEAP)
    assert put(CHEAP, provider_id=UUID(int=2))
    assert Price.objects.count() == 2
