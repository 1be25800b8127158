"""An operator at work while a job runs: limit halved, provider paused and resumed, key replaced. Nothing is lost, each is audited."""

import time

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from apps.accounts.models import AuditEntry
from apps.jobs.actions import ring, sweep
from apps.jobs.domain.lifecycle import ItemState
from apps.jobs.models import Item, Job
from apps.providers.actions import save_provider_key
from apps.providers.models import Provider, TransitionRecord
from tests.chaos.test_pumps import assert_each_ended_once, some_are_done
from tests.chaos.workers import run_out, until, worker
from tests.factories.accounts import make_office_client
from tests.factories.providers import make_model, make_provider
from tests.jobs.rows import make_job
from tests.simulated import Simulator

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.chaos, pytest.mark.timeout(900)]

ITEMS = 1500


@pytest.mark.long
def test_limits_pauses_and_keys_are_changed_while_a_job_runs(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = make_provider(base_url=simulator.base_url, max_concurrency=40)
    save_provider_key(provider_id=provider.id, api_key="sk-aaaa")
    monkeypatch.setenv("NEW_KEY", "sk-bbbb")
    model = make_model("small", provider)
    office = make_office_client()
    with worker("exec", PROVIDERS_RELOAD_SECONDS="0.5"):
        job = make_job(prompts=[f"[[sim delay=0.3]] item {n}" for n in range(ITEMS)], model_id=model.id)
        ring(lane="default", job_id=job.id)
        until(lambda: some_are_done(job, 80), "a part was done", meanwhile=sweep)
        halve_the_limit(office, provider)
        done = done_now(job)
        until(lambda: some_are_done(job, done + 40), "it goes on with half", meanwhile=sweep)
        switch(office, provider, "maintenance")
        attempts = came_to_rest(job, simulator)
        assert done_now(job) < ITEMS
        assert not Item.objects.filter(job=job, state=ItemState.WAITING).exclude(attempts=0).exists()
        call_command("rotate_provider_key", "primary", from_env="NEW_KEY")
        assert simulator.calls()["total"] == attempts
        switch(office, provider, "maintenance is over")
        run_out(job)
    assert_each_ended_once(job, ITEMS)
    assert simulator.calls()["total"] == ITEMS
    assert set(simulator.stats()["by_key"]) == {"aaaa", "bbbb"}
    assert_all_is_on_record(provider)


def halve_the_limit(office: Client, provider: Provider) -> None:
    """By the form that operators use, with everything else as it stands."""
    page = reverse("admin:providers_provider_change", args=[provider.pk])
    form = office.get(page).context["adminform"].form
    values = {name: value for name in form.fields if (value := form.initial.get(name)) is not None}
    assert office.post(page, values | {"max_concurrency": 20, "is_enabled": "on", "reason": "they asked for less"}).status_code == 302
    provider.refresh_from_db()
    assert provider.max_concurrency == 20


def switch(office: Client, provider: Provider, reason: str) -> None:
    assert office.post(reverse("admin:providers_provider_switch", args=[provider.pk]), {"reason": reason}).status_code == 302


def running(job: Job) -> int:
    return Item.objects.filter(job=job, state=ItemState.RUNNING).count()


def came_to_rest(job: Job, simulator: Simulator) -> int:
    """How many calls there have been, once the pumps have heard of the pause: none in the air, and no new one for two seconds."""
    seen, since = -1, time.monotonic()

    def is_at_rest() -> bool:
        nonlocal seen, since
        total = simulator.calls()["total"]
        if total != seen or running(job):
            seen, since = total, time.monotonic()
        return time.monotonic() - since > 2

    until(is_at_rest, "calls in the air have ended", meanwhile=sweep)
    return seen


def done_now(job: Job) -> int:
    job.refresh_from_db()
    return job.done


def assert_all_is_on_record(provider: Provider) -> None:
    entries = AuditEntry.objects.filter(object_type="provider", object_id=str(provider.id)).order_by("id")
    assert [entry.verb for entry in entries] == ["changed", "paused", "rotate key", "resumed"]
    assert entries[0].changes["max_concurrency"] == {"before": 40, "after": 20}
    assert (entries[1].reason, entries[3].reason) == ("maintenance", "maintenance is over")
    assert not [entry for entry in entries if "sk-" in str(entry.changes)]
    assert set(TransitionRecord.objects.values_list("what", flat=True)) >= {"paused", "resumed"}
