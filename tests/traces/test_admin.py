"""Runs with their exchanges, exchanges with what the provider sent."""

import pytest
from django.test import Client
from django.urls import reverse

from apps.jobs.models import Item
from apps.traces.models import Body, Exchange, Run
from tests.factories.accounts import make_office_client
from tests.factories.effects import make_effect
from tests.factories.jobs import make_job

pytestmark = pytest.mark.django_db


@pytest.fixture
def office() -> Client:
    make_job(done=2, dead=0, running=0, waiting=0)
    return make_office_client()


def test_a_run_shows_its_requests_and_leads_to_its_item(office: Client) -> None:
    run = Run.objects.get(outcome="throttled")
    page = office.get(reverse("admin:traces_run_change", args=[run.id])).content.decode()
    assert "429" in page
    assert reverse("admin:jobs_item_change", args=[run.item_id]) in page


def test_a_run_and_its_item_show_what_tools_did_and_harmless(office: Client) -> None:
    run = Run.objects.filter(outcome="ok")[0]
    item = Item.objects.get(id=run.item_id)
    item.run_id = run.id
    make_effect(item, arguments=b"<script>alert(1)</script>", result=b"<b>bold</b>")
    make_effect(item, seq=1, result=None)
    for address in (reverse("admin:traces_run_change", args=[run.id]), reverse("admin:jobs_item_change", args=[run.item_id])):
        page = office.get(address).content.decode()
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
        assert "&lt;b&gt;bold&lt;/b&gt;" in page
        assert "<script>alert(1)" not in page
        assert "no end is known" in page
        assert f"snap_{'5' * 64}" in page
        assert "7.0c1d2e3f4a5b6c7d.3" in page
    Body.objects.all().delete()
    assert "expired" in office.get(reverse("admin:traces_run_change", args=[run.id])).content.decode()


def test_runs_are_found_by_item(office: Client) -> None:
    run = Run.objects.get(outcome="throttled")
    answer = office.get(reverse("admin:traces_run_changelist"), {"q": str(run.item_id)})
    assert {found.item_id for found in answer.context["cl"].result_list} == {run.item_id}
    assert len(answer.context["cl"].result_list) == 2


def test_an_exchange_shows_the_answer_as_it_came_and_harmless(office: Client) -> None:
    exchange = Exchange.objects.filter(outcome="ok")[0]
    page = office.get(reverse("admin:traces_exchange_change", args=[exchange.id])).content.decode()
    assert "&quot;finish_reason&quot;: &quot;stop&quot;" in page


def test_an_expired_body_is_no_error(office: Client) -> None:
    Body.objects.all().delete()
    exchange = Exchange.objects.filter(outcome="ok")[0]
    page = office.get(reverse("admin:traces_exchange_change", args=[exchange.id])).content.decode()
    assert "expired" in page


def test_an_exchange_is_found_by_the_providers_id(office: Client) -> None:
    answer = office.get(reverse("admin:traces_exchange_changelist"), {"q": "req_00000002"})
    assert len(answer.context["cl"].result_list) == 2


def test_filters_offer_what_the_newest_rows_have(office: Client) -> None:
    answer = office.get(reverse("admin:traces_exchange_changelist"))
    offered = {
        spec.title: [choice["display"] for choice in spec.choices(answer.context["cl"])] for spec in answer.context["cl"].filter_specs
    }
    assert offered["outcome"] == ["All", "ok", "throttled"]
