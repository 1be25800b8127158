"""What can be put right by hand: dead items before and after they run again, endpoints that fail, deliveries that did not arrive."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from apps.jobs.domain.lifecycle import ItemState
from apps.jobs.models import Item
from apps.webhooks.models import Attempt, Delivery, Endpoint
from tests.browser.looks import faults_of
from tests.factories.accounts import make_workspace
from tests.factories.webhooks import make_delivery, make_endpoint
from tests.jobs.test_dead_items import make_dead

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(1200)]
_TIMED_OUT = "The provider did not answer in time."
_TOO_LONG = (
    "This model's maximum context length is 128000 tokens. However, your messages resulted in 131072 tokens"
    " (see https://docs.example.com/errors/context_length_exceeded?model=gpt-x-2026-08-06-preview-with-a-long-name)."
)


def test_dead_items_are_looked_into_and_run_again(page: Page, live_server: LiveServer, tmp_path: Path) -> None:
    shots, desk = tmp_path / "shots", f"{live_server.url}/admin/jobs/item/dead/"
    page.goto(desk)
    wrong = faults_of(page, shots, "dead-none")
    job = make_dead(*[_TIMED_OUT] * 5, code="timeout")
    make_dead(*[_TOO_LONG] * 3, code="context_length_exceeded", workspace=make_workspace("Marketing & Sales"))
    page.goto(desk)
    wrong += faults_of(page, shots, "dead-groups")
    page.get_by_role("row", name="timeout").get_by_role("link").first.click()
    expect(page.get_by_role("button", name="Count them")).to_be_visible()
    wrong += faults_of(page, shots, "dead-group")
    page.get_by_label("Why?").fill("they are faster now")
    page.get_by_role("button", name="Count them").click()
    expect(page.get_by_role("heading", name="Run again?")).to_be_visible()
    wrong += faults_of(page, shots, "dead-question")
    page.get_by_role("button", name="Run 5 items again").click()
    expect(page.get_by_text("Set to run again: 5 items of 1 job.")).to_be_visible()
    wrong += faults_of(page, shots, "dead-requeued")
    assert set(Item.objects.filter(job=job).values_list("state", flat=True)) == {ItemState.WAITING}
    page.get_by_role("row", name="context_length_exceeded").get_by_role("link").first.click()
    page.get_by_label("Why?").fill("the catalogue is out of date")
    page.get_by_role("button", name="Discard…").click()
    expect(page.get_by_role("button", name="Discard 3 items")).to_be_visible()
    wrong += faults_of(page, shots, "dead-discard")
    page.get_by_role("button", name="Discard 3 items").click()
    expect(page.get_by_text("Discarded: 3 items")).to_be_visible()
    expect(page.get_by_text("Nothing is dead")).to_be_visible()
    assert wrong == []


def _attempts(delivery: Delivery, *answers: tuple[int | None, str, str]) -> None:
    for number, (status, error, answer) in enumerate(answers, start=1):
        Attempt.objects.create(
            delivery=delivery, number=number, sent_at=timezone.now() - timedelta(minutes=10 - number), status=status,
            duration_seconds=0.412 * number, error=error, answer=answer,
        )  # fmt: skip
    Delivery.objects.filter(pk=delivery.pk).update(attempts_made=len(answers), last_status=answers[-1][0], last_error=answers[-1][1])


def test_endpoints_and_deliveries_tell_what_is_wrong(page: Page, live_server: LiveServer, tmp_path: Path) -> None:
    shots, now = tmp_path / "shots", timezone.now()
    page.goto(f"{live_server.url}/admin/webhooks/endpoint/")
    wrong = faults_of(page, shots, "endpoints-none")
    long_url = "https://hooks.example.com/services/aiplatform/production/batches?token=0123456789abcdef0123456789abcdef"
    well = make_endpoint(name="our back end", delivered_at=now)
    failing = make_endpoint(url=long_url, name="nightly report", failures=7, failing_since=now - timedelta(hours=9))
    off = make_endpoint(name="old crm", is_enabled=False, switched_off_because="It failed for five days.")
    arrived = make_delivery(endpoint=well, state="delivered", ended_at=now)
    _attempts(arrived, (503, "", "<html><body>Service Unavailable</body></html>"), (204, "", ""))
    lost = make_delivery(endpoint=failing, state="failed", ended_at=now)
    _attempts(
        lost,
        (None, "No connection within 5 seconds to hooks.example.com.", ""),
        (500, "", "x" * 400),
        (302, "A redirect is not followed.", ""),
    )
    fresh = make_delivery(endpoint=well)
    base = f"{live_server.url}/admin/webhooks"
    for name, path in (
        ("endpoints", "endpoint/"),
        *((f"endpoint-{word}", f"endpoint/{row.pk}/change/") for word, row in (("well", well), ("failing", failing), ("off", off))),
        ("endpoint-rotate", f"endpoint/{well.pk}/rotate/"),
        ("endpoint-add", "endpoint/add/"),
        ("deliveries", "delivery/"),
        *((f"delivery-{word}", f"delivery/{row.pk}/change/") for word, row in (("arrived", arrived), ("lost", lost), ("fresh", fresh))),
    ):
        page.goto(f"{base}/{path}")
        wrong += faults_of(page, shots, name)
    page.goto(f"{base}/delivery/{lost.pk}/change/")
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_text("on its way again")).to_be_visible()
    wrong += faults_of(page, shots, "delivery-again")
    page.goto(f"{base}/endpoint/{well.pk}/rotate/")
    page.get_by_role("button", name="Make a new secret").click()
    expect(page.get_by_label("Signing secret")).to_be_visible()
    wrong += faults_of(page, shots, "endpoint-secret")
    assert Endpoint.objects.get(pk=well.pk).previous_secret_until
    assert wrong == []
