"""What is older than it is kept goes, by kind and workspace; what is still needed stays."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.jobs.domain.lifecycle import ItemState, JobStatus
from apps.jobs.models import Item, Job
from apps.lib.ids import first_uuid7, uuid7
from apps.ops.actions import forget_old as module
from apps.ops.actions.forget_old import forget_old
from apps.spend.models import Charge
from apps.traces.actions import store_bodies
from apps.traces.domain.bodies import make_body
from apps.traces.models import Body, Effect, Exchange, Run
from tests.factories.accounts import make_workspace
from tests.factories.effects import make_effect
from tests.factories.jobs import make_job

pytestmark = pytest.mark.django_db

NOW = timezone.now()


def age(days: int, *jobs: Job) -> None:
    """As if these jobs had run so many days ago, ids included."""
    then = NOW - timedelta(days=days)
    for job in jobs:
        Body.objects.filter(workspace=job.workspace).update(created_at=then)
        for item in job.items.all():
            old = first_uuid7(then).int + (uuid7().int & ((1 << 62) - 1))
            Item.objects.filter(pk=item.pk).update(id=_id(old), ended_at=then if item.ended_at else None)
        for table, column in ((Run, "ended_at"), (Exchange, "sent_at"), (Effect, "started_at")):
            for row in table.objects.filter(workspace=job.workspace):
                old = first_uuid7(then).int + (uuid7().int & ((1 << 62) - 1))
                table.objects.filter(pk=row.pk).update(**{"id": _id(old), column: then})


def _id(number: int) -> str:
    return f"{number:032x}"


def test_each_kind_goes_after_its_days_and_charges_and_jobs_stay() -> None:
    job = make_job(status=JobStatus.COMPLETED, done=3, dead=1, running=0, waiting=0)
    make_effect(job.items.filter(state=ItemState.DONE)[0])
    charges, runs = Charge.objects.count(), Run.objects.count()
    assert set(forget_old(now=NOW).values()) == {0}
    age(31, job)
    bodies = Body.objects.count()
    gone = forget_old(now=NOW)
    assert (gone["runs"], gone["exchanges"], gone["effects"], gone["items"]) == (0, 0, 0, 0)
    # What the dead item asked for is kept: somebody may run it again.
    dead = job.items.get(state=ItemState.DEAD)
    assert (gone["bodies"], list(Body.objects.values_list("id", flat=True))) == (bodies - 1, [dead.request_body_id])
    age(91, job)
    assert forget_old(now=NOW)["items"] == 3
    assert list(job.items.values_list("state", flat=True)) == [ItemState.DEAD]
    age(181, job)
    gone = forget_old(now=NOW)
    assert gone["effects"] == 1
    assert (gone["runs"] > 0, gone["exchanges"] > 0, Run.objects.count() < runs) == (True, True, True)
    assert (Charge.objects.count(), Job.objects.count()) == (charges, 1)


def test_a_discarded_item_goes_like_any_other() -> None:
    job = make_job(status=JobStatus.COMPLETED, done=0, dead=2, running=0, waiting=0)
    job.items.order_by("id")[0].__class__.objects.filter(pk=job.items.order_by("id")[0].pk).update(discarded_at=NOW)
    age(91, job)
    assert forget_old(now=NOW)["items"] == 1


def test_what_dead_items_asked_for_is_kept_in_bites(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AT_ONCE", 2)
    job = make_job(status=JobStatus.COMPLETED, done=1, dead=5, running=0, waiting=0)
    draft = make_body(job.workspace_id, b"the steps so far")
    store_bodies([draft])
    job.items.filter(id=job.items.filter(state=ItemState.DEAD).values("id")[:1]).update(draft_body_id=draft.id)
    age(31, job)
    forget_old(now=NOW)
    needed = set(job.items.filter(state=ItemState.DEAD).values_list("request_body_id", flat=True))
    assert set(Body.objects.values_list("id", flat=True)) == {*needed, draft.id}


def test_a_single_call_that_died_waits_for_nobody() -> None:
    """Its caller was told; it can't run again, so neither it nor what it asked for is kept until somebody looks."""
    job = make_job(status=JobStatus.COMPLETED, done=0, dead=1, running=0, waiting=0)
    Job.objects.filter(id=job.id).update(kind="single")
    age(31, job)
    forget_old(now=NOW)
    assert (Body.objects.count(), job.items.count()) == (0, 1)
    age(91, job)
    assert forget_old(now=NOW)["items"] == 1


def test_a_workspace_may_keep_longer_or_shorter_than_the_platform() -> None:
    short, long = make_workspace("short"), make_workspace("long")
    for workspace, days in ((short, 2), (long, 300)):
        workspace.keep_bodies_days = workspace.keep_items_days = days
        workspace.save()
    brief, lasting = (make_job(workspace=one, status=JobStatus.COMPLETED, done=2, dead=0, running=0, waiting=0) for one in (short, long))
    age(100, lasting)
    age(3, brief)
    gone = forget_old(now=NOW)
    assert (gone["items"], brief.items.count(), lasting.items.count()) == (2, 0, 2)
    assert set(Body.objects.values_list("workspace_id", flat=True)) == {long.id}


def test_open_work_stays_however_old_it_is() -> None:
    job = make_job(status=JobStatus.PAUSED, done=0, dead=0, running=0, waiting=2)
    age(400, job)
    assert forget_old(now=NOW)["items"] == 0
    assert job.items.count() == 2


def test_it_goes_on_in_bites_until_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_job(status=JobStatus.COMPLETED, done=7, dead=0, running=0, waiting=0)
    age(91, job)
    monkeypatch.setattr(module, "_AT_ONCE", 2)
    monkeypatch.setattr(module, "_SECONDS", -1.0)
    assert forget_old(now=NOW)["items"] == 0
    monkeypatch.setattr(module, "_SECONDS", 600.0)
    assert forget_old(now=NOW)["items"] == 7


def test_a_body_that_is_used_again_is_as_fresh_as_its_newest_use() -> None:
    body = make_body(make_workspace().id, b"asked every month")
    store_bodies([body])
    Body.objects.update(created_at=NOW - timedelta(days=29))
    store_bodies([body])
    assert forget_old(now=NOW + timedelta(days=29))["bodies"] == 0
    assert forget_old(now=NOW + timedelta(days=31))["bodies"] == 1
