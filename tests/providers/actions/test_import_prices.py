"""Prices are taken over from the list as new dated rows; what people set stays until they say otherwise."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from apps.accounts.models import AuditEntry
from apps.providers.actions import compare_with_list, import_prices
from apps.providers.domain.price_changes import Verdict
from apps.providers.models import Provider
from apps.spend.actions import set_price
from apps.spend.models import Price
from tests.factories.accounts import make_office_client
from tests.factories.providers import make_model, make_provider

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
OWN = {"input_usd_per_million": Decimal(9), "output_usd_per_million": Decimal(9)}


@pytest.fixture
def provider() -> Provider:
    provider = make_provider("team-a", base_url="https://api.openai.com/v1")
    model = make_model("small", provider)
    model.targets.update(upstream_model="gpt-4o-mini")
    return provider


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("import_prices", *arguments, stdout=out)
    return out.getvalue()


def take(**values: Any) -> list[Verdict]:
    return [change.verdict for change in import_prices(chosen=None, matches={}, now=NOW, **values)]


def verdicts(now: datetime = NOW) -> list[Verdict]:
    return [change.verdict for change in compare_with_list(matches={}, now=now)]


def test_a_new_price_holds_from_now_on_and_tells_its_source(provider: Provider) -> None:
    assert take() == [Verdict.NEW]
    price = Price.objects.get()
    assert (price.provider_id, price.upstream_model, price.effective_from) == (provider.id, "gpt-4o-mini", NOW)
    assert price.input_usd_per_million > 0
    assert price.source.startswith("genai-prices ")
    entry = AuditEntry.objects.get(verb="imported")
    assert "gpt-4o-mini at team-a: input_usd_per_million - -> " in str(entry.changes)


def test_the_same_again_changes_nothing(provider: Provider) -> None:
    take()
    assert take() == []
    assert verdicts(NOW + timedelta(days=1)) == [Verdict.SAME]
    assert Price.objects.count() == 1


def test_a_price_that_the_list_gave_is_followed_up_by_a_new_row(provider: Provider) -> None:
    set_price(
        provider_id=provider.id,
        upstream_model="gpt-4o-mini",
        prices=OWN,
        starts_at=None,
        now=NOW - timedelta(days=1),
        source="genai-prices 0",
    )
    old = Price.objects.get()
    assert take() == [Verdict.CHANGED]
    old.refresh_from_db()
    assert (old.input_usd_per_million, Price.objects.count()) == (9, 2)


def test_a_price_that_people_set_stays_until_they_say_otherwise(provider: Provider) -> None:
    set_price(provider_id=provider.id, upstream_model="gpt-4o-mini", prices=OWN, starts_at=None, now=NOW - timedelta(days=1))
    assert verdicts() == [Verdict.OWN]
    assert take() == []
    assert take(is_replacing_own=True) == [Verdict.OWN]


def test_what_was_confirmed_is_what_was_seen(provider: Provider) -> None:
    (seen,) = compare_with_list(matches={}, now=NOW)
    set_price(provider_id=provider.id, upstream_model="gpt-4o-mini", prices=OWN, starts_at=None, now=NOW - timedelta(minutes=1))
    assert not import_prices(chosen={seen.key}, matches={}, now=NOW)
    (anew,) = compare_with_list(matches={}, now=NOW + timedelta(minutes=1))
    assert import_prices(chosen={anew.key}, matches={}, now=NOW + timedelta(minutes=2))


def test_what_the_list_does_not_know_is_missing() -> None:
    make_model("small", make_provider())
    known = make_provider("known", base_url="https://api.mistral.ai/v1")
    make_model("own", known)
    assert verdicts() == [Verdict.MISSING, Verdict.MISSING]
    told = run()
    assert "own-upstream at known (mistral): The list knows no such model" in told
    assert "small-upstream at primary: The list has no provider with this address" in told


def test_command_shows_and_writes_nothing_unless_told(provider: Provider) -> None:
    shown = run()
    assert "new      gpt-4o-mini at team-a (openai): input_usd_per_million - -> 0.15" in shown
    assert "nothing was written" in shown
    assert not Price.objects.exists()
    assert "1 price added" in run("--write")
    assert "0 prices added" in run("--write")
    assert "same     gpt-4o-mini at team-a (openai)" in run()


def test_command_is_told_whose_prices_a_gateway_has() -> None:
    model = make_model("small", make_provider("gateway"))
    model.targets.update(upstream_model="gpt-4o-mini")
    assert "new      gpt-4o-mini at gateway (openai)" in run("--match", "gateway=openai")


@pytest.mark.parametrize(
    ("text", "told"), [("gateway", "write the provider's name"), ("primary=nobody", "'nobody'"), ("other=openai", "'other'")]
)
def test_command_refuses_a_match_that_is_none(text: str, told: str) -> None:
    make_provider()
    with pytest.raises(CommandError, match=told):
        run("--match", text)


def test_the_back_office_shows_the_difference_and_writes_what_is_chosen(provider: Provider) -> None:
    office, page = make_office_client(), reverse("admin:providers_provider_prices")
    shown = office.get(page)
    assert "input_usd_per_million: - → 0.15" in shown.content.decode()
    assert not Price.objects.exists()
    (change,) = shown.context["changes"]
    chosen = {"chosen": change.key, "reason": "as agreed"}
    assert "0 prices added" in office.post(page, {"reason": "as agreed"}, follow=True).content.decode()
    assert "1 price added; none was changed" in office.post(page, chosen, follow=True).content.decode()
    assert Price.objects.get().provider_id == provider.id
    again = office.post(page, chosen, follow=True).content.decode()
    assert "1 had changed since you looked" in again
    assert "Nothing to take over" in again
    assert page in office.get(reverse("admin:spend_price_changelist")).content.decode()
