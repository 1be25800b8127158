"""Prices are added, charges are read; neither is ever changed."""

from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from apps.spend.models import Charge, Price
from tests.factories.accounts import make_office_client
from tests.factories.jobs import make_job, make_route

pytestmark = pytest.mark.django_db


@pytest.fixture
def office() -> Client:
    return make_office_client()


def test_a_price_is_added_from_a_form_that_is_filled_in(office: Client) -> None:
    provider = make_route().provider
    query = {"provider_id": str(provider.id), "upstream_model": "gpt-y"}
    page = office.get(reverse("admin:spend_price_add"), query).content.decode()
    assert str(provider.id) in page
    assert "gpt-y" in page
    data = query | {
        "effective_from_0": "2026-11-01", "effective_from_1": "00:00:00", "input_usd_per_million": "0.80",
        "output_usd_per_million": "4.00", "request_usd": "0", "reason": "as agreed",
    }  # fmt: skip
    assert office.post(reverse("admin:spend_price_add"), data).status_code == 302
    assert Price.objects.get(upstream_model="gpt-y").output_usd_per_million == Decimal(4)


def test_a_price_is_never_changed_or_deleted(office: Client) -> None:
    price = make_route().price
    assert office.post(reverse("admin:spend_price_change", args=[price.id]), {"input_usd_per_million": "9"}).status_code == 403
    assert office.post(reverse("admin:spend_price_delete", args=[price.id]), {"post": "yes"}).status_code == 403


def test_charges_are_found_by_their_item_and_read_only(office: Client) -> None:
    make_job(done=2, dead=0, running=0, waiting=0)
    charge = Charge.objects.all()[0]
    answer = office.get(reverse("admin:spend_charge_changelist"), {"q": str(charge.item_id)})
    assert list(answer.context["cl"].result_list) == [charge]
    assert "$0.000125" in answer.content.decode()
    assert office.post(reverse("admin:spend_charge_delete", args=[charge.id]), {"post": "yes"}).status_code == 403
    assert office.get(reverse("admin:spend_charge_add")).status_code == 403


def test_a_charge_without_a_price_says_so(office: Client) -> None:
    make_job(done=1, dead=0, running=0, waiting=0)
    Charge.objects.update(price_id=None, cost_usd=0)
    assert "no price known" in office.get(reverse("admin:spend_charge_changelist")).content.decode()
