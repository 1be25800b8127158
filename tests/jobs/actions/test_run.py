"""A whole pump, in this process, against the simulated provider."""

import importlib
import threading
import time
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from apps.jobs.actions import run_items
from apps.jobs.actions.register_pump import register_pump
from apps.jobs.domain.lifecycle import ItemState, JobStatus
from apps.jobs.models import Item, Job, Pump
from apps.jobs.queries import list_dead_groups
from apps.lib.ids import uuid7
from apps.lib.redis_client import redis_client
from apps.providers.models import Model, Provider, Target
from apps.spend.models import Charge
from apps.traces.models import Exchange, Run
from tests.chaos.workers import until
from tests.factories.accounts import make_client
from tests.jobs.batches import input_line, jsonl, validated
from tests.jobs.rows import make_job
from tests.simulated import Simulator

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def model_id(simulator: Simulator) -> UUID:
    provider = Provider.objects.create(name="simulated", base_url=simulator.base_url)
    model = Model.objects.create(name="small")
    Target.objects.create(model=model, provider=provider, upstream_model="simulated")
    return model.id


def run(*, lane: str = "default", is_isolating: bool = False, replaces: UUID | None = None) -> dict[str, object]:
    return run_items(lane=lane, job_id=None, replaces=replaces, is_isolating=is_isolating, clock=lambda: datetime.now(UTC))


def test_run_carries_every_item_to_its_end_and_records_it(model_id: UUID, simulator: Simulator) -> None:
    job = make_job(prompts=[f"prompt {n}" for n in range(120)], model_id=model_id)
    report = run()
    job.refresh_from_db()
    assert (report["items"], report["done"], report["failed"]) == (120, 120, 0)
    assert (job.done, job.dead, job.input_tokens, job.output_tokens) == (120, 0, 2400, 3600)
    assert Item.objects.filter(job=job, state=ItemState.DONE, answer_body_id__isnull=False, status_code=200).count() == 120
    assert (Run.objects.count(), Exchange.objects.count(), Charge.objects.count()) == (120, 120, 120)
    assert set(Exchange.objects.values_list("run_id", flat=True)) == set(Run.objects.values_list("id", flat=True))
    assert simulator.calls()["total"] == 120
    assert Pump.objects.get().ended_at is not None


def test_run_keeps_the_prompt_version_of_each_line_with_its_charge_and_its_death(model_id: UUID) -> None:
    lines = [
        input_line("plain", body={"model": "small", "messages": [{"role": "user", "content": "hi"}]}),
        *(
            input_line(
                f"{version}-{n}",
                body={
                    "model": "small",
                    "messages": [{"role": "user", "content": f"[[sim status=400]] {n}"}],
                    "metadata": {"prompt_version": version},
                },
            )
            for version in ("v1", "v2")
            for n in range(2)
        ),
    ]
    job = validated(jsonl(lines), metadata={"prompt_version": "of-all"})
    Item.objects.filter(job=job).update(model_id=model_id)
    run()
    assert list(Charge.objects.values_list("prompt_version", flat=True)) == ["of-all"]
    # They died of the same, but of prompts that differ.
    found = list_dead_groups(workspace_ids=None)
    assert sorted((group.prompt_version, group.items) for group in found) == [("v1", 2), ("v2", 2)]
    assert len({group.fingerprint for group in found}) == 2
    client = make_client()
    listed = client.get(f"/api/jobs/{job.public_id}/items", {"prompt_version": "v2"}).json()
    assert [item["prompt_version"] for item in listed["data"]] == ["v2", "v2"]
    assert {group["prompt_version"] for group in client.get("/api/dead-items").json()["data"]} == {"v1", "v2"}


def test_run_leaves_a_paused_job_alone(model_id: UUID, simulator: Simulator) -> None:
    make_job(prompts=["a"], model_id=model_id, status=JobStatus.PAUSED)
    assert run()["items"] == 0
    assert simulator.calls()["total"] == 0


def test_run_of_an_isolating_pump_takes_suspects_alone(model_id: UUID, simulator: Simulator) -> None:
    job = make_job(prompts=[f"prompt {n}" for n in range(20)], model_id=model_id)
    Item.objects.filter(job=job, position__lte=12).update(losses=2)
    Item.objects.filter(job=job, position=1).update(losses=3)
    assert run(is_isolating=True)["done"] == 12
    assert simulator.stats()["most_in_flight"] <= 8
    assert Item.objects.filter(job=job, state=ItemState.WAITING).count() == 8


def test_run_ends_at_once_when_there_are_enough_pumps(model_id: UUID, settings: Any) -> None:
    settings.JOBS_PUMPS_PER_HOST = 1
    first = register_pump(worker_set="exec", replaces=None, is_isolating=False)
    assert first is not None
    # Another process's pump: ours would be taken for the remains of an earlier run in this one.
    Pump.objects.filter(id=first.id).update(pid=1)
    make_job(prompts=["a"], model_id=model_id)
    assert run()["ended"] == "enough pumps"
    assert run(replaces=first.id)["done"] == 1
    assert run(replaces=first.id)["ended"] == "enough pumps"


def test_run_of_a_model_without_targets_waits_for_a_person() -> None:
    job = make_job(prompts=["a"], model_id=uuid7())
    run()
    item = Item.objects.get(job=job)
    assert (item.state, item.outcome, item.error_code, item.attempts) == (ItemState.WAITING, "credential", "no_target", 0)


def test_run_looks_for_a_model_that_is_newer_than_its_tables(model_id: UUID, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.PROVIDERS_RELOAD_SECONDS, settings.JOBS_IDLE_SECONDS = 3600, 5
    load, loads = importlib.import_module("apps.jobs.actions.pump").load_catalogue, list[float]()

    def counted() -> Any:
        loads.append(time.monotonic())
        return load()

    monkeypatch.setattr("apps.jobs.actions.pump.load_catalogue", counted)
    first, late = make_job(prompts=["first"], model_id=model_id), list[Job]()

    def comes_late() -> None:
        until(lambda: Item.objects.filter(job=first, state=ItemState.DONE).exists(), "the first item ended")
        model = Model.objects.create(name="new")
        Target.objects.create(model=model, provider=Provider.objects.get(), upstream_model="simulated")
        late.append(make_job(prompts=[f"prompt {n}" for n in range(20)], model_id=model.id))
        connection.close()

    thread = threading.Thread(target=comes_late)
    thread.start()
    assert run()["done"] == 21
    thread.join()
    # None was snoozed, and one look was enough for all.
    assert set(Item.objects.filter(job=late[0]).values_list("state", "free_tries")) == {(ItemState.DONE, 0)}
    assert len(loads) == 2


def test_run_settles_an_item_whose_job_was_deleted_meanwhile_without_failing_the_others(model_id: UUID) -> None:
    make_job(prompts=["gone"], model_id=model_id)
    job = make_job(prompts=["a", "b"], model_id=model_id)
    Job.objects.exclude(id=job.id).delete()
    assert run()["done"] == 2


def test_run_finds_a_missing_request_and_says_so(model_id: UUID) -> None:
    job = make_job(prompts=["a"], model_id=model_id)
    Item.objects.filter(job=job).update(request_body_id=b"x" * 32)
    run()
    item = Item.objects.get(job=job)
    assert (item.state, item.error_code) == (ItemState.DEAD, "request_body_expired")


def test_run_rings_again_for_what_became_ready_while_it_ended(model_id: UUID, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.JOBS_PUMPS_PER_HOST = 1
    ended = importlib.import_module("apps.jobs.actions.run").end_pump

    def arrives_late(**values: Any) -> None:
        # Its ring still sees this pump in the list, so it rings for none.
        make_job(prompts=["late"], model_id=model_id)
        ended(**values)

    monkeypatch.setattr("apps.jobs.actions.run.end_pump", arrives_late)
    before = redis_client().llen("default")
    run()
    assert redis_client().llen("default") == before + 1
