"""The page of providers while these fail: the breaker opens, one throttles, a pause and a resume by click; it is whole all the while."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from apps.accounts.models import AuditEntry
from apps.jobs.actions import ring
from apps.jobs.models import Job
from apps.lib.redis_client import redis_client
from apps.providers.actions import save_provider_key
from apps.providers.models import Provider
from tests.browser.looks import faults_of
from tests.chaos.workers import run_out, worker
from tests.factories.providers import make_model, make_provider
from tests.jobs.rows import make_job
from tests.simulated import Simulator

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(1200)]
_ITEMS = 60
_STORM = {"sk-falls": "status=500", "sk-busy": "status=429 retry_after=20"}


@pytest.fixture
def storm(simulator: Simulator) -> Iterator[Simulator]:
    """Two keys that fail each in its own way; everybody else is answered."""
    for api_key, script in _STORM.items():
        simulator.behave(api_key=api_key, script=script)
    yield simulator
    _end(simulator)
    redis_client().flushdb()


def _end(simulator: Simulator) -> None:
    for api_key in _STORM:
        simulator.behave(api_key=api_key, script="")


def _work(simulator: Simulator) -> list[Job]:
    """A job for a provider that falls, one for one that throttles, one for one that is well."""
    jobs = []
    for name, api_key in (("falling", "sk-falls"), ("busy", "sk-busy"), ("steady", "sk-well")):
        provider = make_provider(name, base_url=simulator.base_url, max_concurrency=20)
        save_provider_key(provider_id=provider.id, api_key=api_key)
        model = make_model(f"{name}-model", provider)
        jobs.append(
            make_job(prompts=[f"{name} {n}" for n in range(_ITEMS)], model_id=model.id, model=f"{name}-model", model_name=f"{name}-model")
        )
        ring(lane="default", job_id=jobs[-1].id)
    return jobs


def test_a_storm_is_seen_and_a_provider_is_paused_and_resumed_by_click(
    page: Page, live_server: LiveServer, storm: Simulator, tmp_path: Path
) -> None:
    shots = tmp_path / "shots"
    # Before the worker: a model that its catalogue doesn't have yet would wait for a while.
    jobs = _work(storm)
    with worker("exec", PROVIDERS_RELOAD_SECONDS="0.5"):
        page.goto(f"{live_server.url}/admin/providers/provider/desk/")
        section = {name: page.locator("section", has=page.get_by_role("heading", name=name)) for name in ("falling", "busy", "steady")}
        expect(section["falling"].get_by_text("open, for").first).to_be_visible()
        expect(section["busy"].get_by_text("throttled for").first).to_be_visible()
        expect(section["steady"].get_by_text("takes calls")).to_be_visible()
        expect(section["steady"].get_by_text(f"ok {_ITEMS}").first).to_be_visible()
        expect(section["falling"].get_by_text("failed_upstream").first).to_be_visible()
        expect(page.locator("#waiting").get_by_text("falling-model")).to_be_visible()
        expect(page.get_by_text("breaker opened").first).to_be_visible()
        expect(page.get_by_text("throttled: all wait").first).to_be_visible()
        wrong = faults_of(page, shots, "storm")
        section["falling"].get_by_role("link", name="Pause falling").click()
        expect(page.get_by_label("Why?")).to_be_visible()
        wrong += faults_of(page, shots, "question")
        page.get_by_label("Why?").fill("their status page says until noon")
        page.get_by_role("button", name="Pause", exact=True).click()
        expect(page.get_by_text("calls in the air finish")).to_be_visible()
        expect(section["falling"].get_by_text("paused: their status page").first).to_be_visible()
        wrong += faults_of(page, shots, "paused")
        _end(storm)
        section["falling"].get_by_role("link", name="Resume falling").click()
        page.get_by_role("button", name="Resume", exact=True).click()
        expect(section["falling"].get_by_text("paused: their status page")).to_have_count(0)
        happened = page.locator("#happened")
        for what in ("breaker opened", "paused", "resumed"):
            expect(happened.get_by_role("cell", name=what, exact=True).first).to_be_visible()
        for job in jobs:
            run_out(job)
        expect(happened.get_by_role("cell", name="breaker closed", exact=True).first).to_be_visible()
        wrong += faults_of(page, shots, "over")
    assert [job.done for job in jobs] == [_ITEMS] * 3
    verbs = (
        AuditEntry.objects.filter(object_id=str(Provider.objects.get(name="falling").id)).order_by("id").values_list("verb", "actor_label")
    )
    assert list(verbs)[-2:] == [("paused", "root"), ("resumed", "root")]
    assert wrong == []
