"""The sweep takes back what was lost, buries what kills its worker alone, and rings where nobody listens."""

from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from apps.jobs.actions import sweep
from apps.jobs.actions.claim import claim_items, claim_suspects
from apps.jobs.domain.lifecycle import ItemState, JobStatus
from apps.jobs.models import Item, Job, Pump
from apps.lib.ids import uuid7
from apps.providers.domain.calls import Stage
from apps.traces.models import Run
from tests.jobs.rows import make_job

pytestmark = pytest.mark.django_db


def lose_all() -> None:
    Item.objects.filter(state=ItemState.RUNNING).update(lease_until=timezone.now() - timedelta(seconds=1))


def test_sweep_takes_back_items_whose_lease_is_over_and_records_the_loss() -> None:
    make_job(prompts=["a", "b"])
    claimed = claim_items(pump_id=uuid7(), lanes=["default"], room=10, batch_room=1, turn=0)
    lose_all()
    assert sweep()["lost"] == 2
    assert set(Item.objects.values_list("state", "losses", "attempts")) == {(ItemState.WAITING, 1, 0)}
    assert set(Run.objects.values_list("id", "outcome")) == {(item.run_id, "lost") for item in claimed}


def test_sweep_leaves_items_with_a_lease_alone() -> None:
    make_job()
    claim_items(pump_id=uuid7(), lanes=["default"], room=10, batch_room=1, turn=0)
    assert sweep()["lost"] == 0


def test_sweep_buries_an_item_only_when_it_was_lost_alone() -> None:
    job = make_job(prompts=["innocent", "poison"])
    for _ in range(2):
        claim_items(pump_id=uuid7(), lanes=["default"], room=10, batch_room=1, turn=0)
        lose_all()
        sweep()
    assert len(claim_suspects(pump_id=uuid7(), lanes=["default"])) == 2
    lose_all()
    sweep()
    (alone,) = claim_suspects(pump_id=uuid7(), lanes=["default"])
    Item.objects.update(stage=Stage.TOOLS, answer_body_id=b"steps")
    lose_all()
    sweep()
    dead = Item.objects.get(state=ItemState.DEAD)
    assert (dead.id, dead.error_code, dead.losses) == (alone.item_id, "poison", 4)
    assert Job.objects.get(id=job.id).dead == 1
    # What calls tools goes on from there when it is requeued.
    assert list(Item.objects.order_by("state").values_list("state", "draft_body_id")) == [("dead", b"steps"), ("waiting", None)]


def test_sweep_rings_for_a_lane_that_nobody_serves(django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> None:
    make_job()
    Pump.objects.create(worker_set="exec-interactive", hostname="h", pid=1, window=1)
    assert sweep()["rung"] == 1
    Pump.objects.create(worker_set="exec", hostname="h", pid=1, window=1)
    assert sweep()["rung"] == 0


def test_sweep_ends_pumps_that_fell_silent() -> None:
    pump = Pump.objects.create(worker_set="exec", hostname="h", pid=1, window=1, renewed_at=timezone.now() - timedelta(minutes=1))
    sweep()
    assert Pump.objects.get(id=pump.id).ended_at is not None


def test_sweep_cancels_calls_that_nobody_waits_for_any_more() -> None:
    overdue = make_job(kind="single", lane="interactive", expires_at=timezone.now() - timedelta(seconds=1))
    waited_for = make_job(kind="single", lane="interactive", expires_at=timezone.now() + timedelta(minutes=1))
    sweep()
    overdue.refresh_from_db()
    waited_for.refresh_from_db()
    assert (overdue.status, waited_for.status) == (JobStatus.CANCELLED, JobStatus.RUNNING)
    assert Item.objects.get(job=overdue).state == ItemState.CANCELLED
