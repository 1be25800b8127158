"""Of several items of steps that ask the very same at the same time one is asked, and the others take its answer over."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import F
from django.utils import timezone

from apps.jobs.actions import run_items
from apps.jobs.actions.claim import claim_items
from apps.jobs.actions.submit_documents import Terms
from apps.jobs.domain.claimed import ClaimedItem
from apps.jobs.domain.lifecycle import ItemState
from apps.jobs.domain.recipe import Each, Plan, Step
from apps.jobs.models import Item, Job
from apps.lib.ids import uuid7
from apps.ops.queries.invariants import check_invariants
from apps.providers.domain.policy import AnswerPolicy
from apps.providers.models import Model, Provider, Target
from apps.spend.models import Charge
from tests.crowds import all_at_once
from tests.factories.accounts import make_workspace
from tests.factories.knowledge import make_collection, make_read
from tests.jobs.batches import end_item
from tests.jobs.documents import started
from tests.simulated import Simulator

pytestmark = pytest.mark.django_db
PLAN = Plan((Step("say", Each.DOCUMENT, "{{ text }}", "tiny"),))
ANSWER = b'{"choices": [{"message": {"role": "assistant", "content": "so"}, "finish_reason": "stop"}]}'


def job_of(texts: list[str], *, plan: Plan = PLAN, workspace: Any = None, **values: Any) -> Job:
    collection = make_collection(workspace or make_workspace(), name=f"c{uuid7().hex}")
    make_read({f"{n}.txt": text for n, text in enumerate(texts)}, collection=collection)
    return started(plan, collection, **values)


def claim(room: int = 500) -> list[ClaimedItem]:
    return claim_items(pump_id=uuid7(), lanes=("default", "bulk"), room=room, batch_room=500, turn=0)


def states(job: Job) -> dict[str, int]:
    return {state: count for state in ItemState if (count := Item.objects.filter(job=job, state=state).count())}


def due() -> None:
    """What was put off can be claimed again."""
    Item.objects.filter(state=ItemState.WAITING).update(not_before=timezone.now() - timedelta(minutes=1))


def end(item: ClaimedItem, **values: Any) -> None:
    end_item(Item.objects.get(id=item.item_id), **values)


def test_of_the_same_text_in_one_job_one_is_asked_and_the_others_take_its_answer() -> None:
    job = job_of(["the same"] * 4 + ["another"])
    first = claim()
    assert (len(first), states(job)) == (2, {ItemState.RUNNING: 2, ItemState.WAITING: 3})
    waiting = Item.objects.filter(job=job, state=ItemState.WAITING)
    assert not waiting.filter(not_before__lte=F("job__created_at")).exists()
    assert set(waiting.values_list("run_id", "pump_id", "lease_until", "attempts", "losses")) == {(None, None, None, 0, 0)}
    due()
    assert claim() == []
    for item in first:
        end(item, answer=ANSWER, run_id=item.run_id, cost_usd="0.5")
    due()
    rest = claim()
    asked = next(item for item in first if item.request == rest[0].request)
    assert [(item.kept.run_id, item.kept.cost_usd) if item.kept else None for item in rest] == [(asked.run_id, Decimal("0.5"))] * 3
    assert {item.reserved_usd for item in rest} == {None}


def test_a_second_job_waits_for_what_the_first_has_in_the_air() -> None:
    workspace = make_workspace()
    one, other = [job_of(["a", "b"], workspace=workspace) for _ in range(2)]
    assert {item.job_id for item in claim()} == {one.id}
    assert states(other) == {ItemState.WAITING: 2}


def test_when_the_one_in_the_air_dies_the_next_is_asked() -> None:
    job = job_of(["the same"] * 3)
    (first,) = claim()
    end(first, state=ItemState.DEAD, error_code="server_error", run_id=first.run_id)
    due()
    (second,) = claim()
    assert (second.kept, states(job)) == (None, {ItemState.DEAD: 1, ItemState.RUNNING: 1, ItemState.WAITING: 1})


def test_nobody_waits_for_a_job_that_is_paused_nor_for_an_item_that_waits_to_be_tried_again() -> None:
    workspace = make_workspace()
    one, other = [job_of(["a"], workspace=workspace) for _ in range(2)]
    Item.objects.filter(job=one).update(not_before=timezone.now() + timedelta(hours=1), attempts=2)
    assert [item.job_id for item in claim()] == [other.id]


@pytest.mark.parametrize("paused", [False, True])
def test_what_has_paid_for_a_first_answer_is_waited_for_while_its_job_runs(*, paused: bool) -> None:
    workspace = make_workspace()
    one, other = [job_of(["a"], workspace=workspace) for _ in range(2)]
    Item.objects.filter(job=one).update(stage=1, paid_calls=1, not_before=timezone.now() + timedelta(hours=1))
    Job.objects.filter(id=one.id).update(status="paused" if paused else "running")
    assert [item.job_id for item in claim()] == ([other.id] if paused else [])


def test_others_answers_models_ways_and_wishes_to_ask_anew_are_not_shared() -> None:
    workspace = make_workspace()
    jobs = [
        job_of(["a"], workspace=workspace),
        job_of(["a"], workspace=make_workspace("others")),
        job_of(["a"], workspace=workspace, plan=Plan((replace(PLAN.steps[0], model="small"),))),
        job_of(["a"], workspace=workspace, plan=replace(PLAN, policy=AnswerPolicy(has_failover=False))),
        job_of(["a", "a"], workspace=workspace, terms=Terms(reuse=False)),
    ]
    assert sorted(str(item.job_id) for item in claim()) == sorted(str(job.id) for job in [*jobs, jobs[-1]])


@pytest.mark.django_db(transaction=True)
def test_of_many_that_claim_at_once_one_asks() -> None:
    workspace = make_workspace()
    for _ in range(6):
        job_of(["a", "b", "c"], workspace=workspace)
    taken: list[object] = []
    all_at_once(6, lambda: taken.extend(item.item_id for item in claim(3)))
    assert len(taken) <= 3
    while more := claim():
        taken += [item.item_id for item in more]
    assert Item.objects.filter(state=ItemState.RUNNING).values("request_body_id").distinct().count() == len(set(taken)) == 3


@pytest.mark.django_db(transaction=True)
def test_two_jobs_at_once_over_the_same_texts_are_paid_for_once(simulator: Simulator) -> None:
    workspace = make_workspace()
    jobs = [job_of(["a", "b", "a"], workspace=workspace) for _ in range(2)]
    provider = Provider.objects.create(name="simulated", base_url=simulator.base_url)
    Target.objects.create(model=Model.objects.get(name="tiny"), provider=provider, upstream_model="simulated")
    while Item.objects.filter(state=ItemState.WAITING).exists():
        due()
        run_items(lane="default", job_id=None, replaces=None, is_isolating=False, clock=timezone.now)
    assert states(jobs[0]) == states(jobs[1]) == {ItemState.DONE: 3}
    assert (simulator.calls()["total"], Charge.objects.count()) == (2, 2)
    for job, asked in zip(jobs, (2, 0), strict=True):
        job.refresh_from_db()
        assert (job.done, job.dead, job.done - job.cache_hits) == (3, 0, asked)
    assert [found for found in check_invariants(since=timezone.now() - timedelta(days=2)) if found.broken] == []
