"""Past charges computed anew, and left as they are."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from apps.lib.ids import uuid7
from apps.providers.actions import reprice
from apps.providers.models import Provider
from apps.spend.domain.usage import TokenUsage
from apps.spend.models import Charge, Price
from apps.spend.queries import read_charges
from tests.factories.accounts import make_workspace
from tests.factories.providers import make_provider

pytestmark = pytest.mark.django_db
BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
CHAT = {"prompt_tokens": 20, "completion_tokens": 198, "total_tokens": 623}


@pytest.fixture
def provider() -> Provider:
    provider = make_provider()
    price(provider, BEGIN, 1, 10)
    return provider


def price(provider: Provider, at: datetime, given: int, said: int) -> None:
    Price.objects.create(
        provider_id=provider.id, upstream_model="m", effective_from=at, input_usd_per_million=given, output_usd_per_million=said
    )


def charge(provider: Provider, *, at: datetime = BEGIN, cost: str = "0.002", usage: Any = CHAT, **counts: Any) -> None:
    ids = {name: uuid7() for name in ("job_id", "item_id", "run_id", "model_id")}
    Charge.objects.create(
        workspace=make_workspace(), provider_id=provider.id, upstream_model="m", lane="bulk", usage=usage,
        cost_usd=Decimal(cost), created_at=at,
        **ids, **{"input_tokens": 20, "output_tokens": 198} | counts,
    )  # fmt: skip


def sums(**values: Any) -> list[tuple[int, Decimal, Decimal]]:
    rows = reprice(since=BEGIN, until=timezone.now() + timedelta(days=400), **values)
    return [(row.calls, row.charged_usd, row.would_be_usd) for row in rows]


def test_the_report_is_read_anew_and_priced_as_of_its_time(provider: Provider) -> None:
    price(provider, BEGIN + timedelta(days=9), 100, 100)
    charge(provider)
    # Thoughts that only the total tells: 20 x 1 + 603 x 10.
    assert sums() == [(1, Decimal("0.002"), Decimal("0.00605"))]
    assert Charge.objects.get().cost_usd == Decimal("0.002")


def test_all_by_the_prices_of_one_moment(provider: Provider) -> None:
    price(provider, BEGIN + timedelta(days=9), 100, 100)
    charge(provider)
    charge(provider, at=BEGIN + timedelta(days=10))
    assert sums(prices_of=BEGIN + timedelta(days=9)) == [(2, Decimal("0.004"), Decimal("0.1246"))]


def test_what_had_been_estimated_stays(provider: Provider) -> None:
    charge(provider, usage={"prompt_tokens": 0, "completion_tokens": 0}, parts={"audio_input": 5})
    charge(provider, usage=None)
    assert sums() == [(2, Decimal("0.004"), Decimal("0.004"))]


def test_without_a_price_it_would_be_free_and_says_so(provider: Provider) -> None:
    charge(provider)
    Price.objects.all().delete()
    (row,) = reprice(since=BEGIN, until=BEGIN + timedelta(days=1))
    assert (row.unpriced, row.would_be_usd) == (1, 0)


def test_every_charge_is_read_once_however_small_the_bites(provider: Provider) -> None:
    for n in range(7):
        charge(provider, at=BEGIN + timedelta(seconds=n // 3))
    found = [row["id"] for row in read_charges(since=BEGIN, until=BEGIN + timedelta(days=1), bite=2)]
    assert len(found) == len(set(found)) == 7
    assert not list(read_charges(since=BEGIN + timedelta(seconds=3), until=BEGIN + timedelta(days=1), bite=2))


def test_a_charge_gives_its_buckets_back() -> None:
    usage = TokenUsage(1, 2, 3, 4, 5, cache_write_1h_tokens=6, audio_input_tokens=7, image_input_tokens=8, audio_output_tokens=9)
    again = TokenUsage.from_charge(
        input_tokens=usage.fresh_input_tokens, cached_input_tokens=2, cache_write_tokens=usage.written_tokens,
        output_tokens=usage.said_tokens, reasoning_tokens=5, parts=usage.parts(),
    )  # fmt: skip
    assert again == usage


def test_command_lists_models_and_changes_nothing(provider: Provider) -> None:
    charge(provider)
    out = StringIO()
    call_command("reprice", "--dry-run", "--since", "2026-11-01", "--until", "2027-01-01", stdout=out)
    told = out.getvalue()
    assert "m at primary: 1 calls: charged $0.002, would be $0.00605, difference $0.00405" in told
    assert "Nothing was changed" in told
    with pytest.raises(CommandError, match="'yesterday' is no moment"):
        call_command("reprice", "--since", "yesterday")
