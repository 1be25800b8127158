"""Jobs of documents for tests: submitted, carried on, and answered as settle leaves items."""

import json
from collections.abc import Callable
from typing import Any

import orjson
from django.db.models import F
from django.utils import timezone

from apps.jobs.actions import advance_job, finish_job, submit_documents
from apps.jobs.domain.lifecycle import ItemState
from apps.jobs.domain.recipe import Plan
from apps.jobs.models import Item, Job
from apps.knowledge.models import Collection
from apps.lib.ids import uuid7
from apps.traces.queries import read_bodies
from tests.factories.recipes import make_recipe
from tests.jobs.batches import clock, end_item, make_model

Say = Callable[[str], str]


def submit(plan: Plan, collection: Collection, **values: Any) -> Job:
    """A job that waits to be started."""
    for step in plan.steps:
        make_model(step.model)
    if plan.policy.first_model:
        make_model(plan.policy.first_model)
    recipe = make_recipe(collection.workspace, plan=plan)
    # The database's clock tells when it is over.
    times = {"now": timezone.now()}
    return submit_documents(workspace_id=collection.workspace_id, recipe_id=recipe.id, collection_id=collection.id, **times | values)


def started(plan: Plan, collection: Collection, **values: Any) -> Job:
    job = submit(plan, collection, **values)
    advance_job(job_id=job.id, clock=clock)
    job.refresh_from_db()
    return job


def questions(job: Job, state: ItemState = ItemState.WAITING) -> dict[str, str]:
    """What the user's message says, by the item's custom_id."""
    items = list(Item.objects.filter(job=job, state=state).order_by("id"))
    bodies = read_bodies([bytes(item.request_body_id) for item in items])
    return {item.custom_id: orjson.loads(bodies[bytes(item.request_body_id)])["messages"][-1]["content"] for item in items}


def systems(job: Job, state: ItemState = ItemState.WAITING) -> dict[str, str]:
    """What the message before it says."""
    items = list(Item.objects.filter(job=job, state=state))
    bodies = read_bodies([bytes(item.request_body_id) for item in items])
    return {item.custom_id: orjson.loads(bodies[bytes(item.request_body_id)])["messages"][0]["content"] for item in items}


def answer(job: Job, say: Say = lambda question: f"<{question}>", *, only: Callable[[str], bool] = lambda _: True) -> int:
    """End the waiting items, those of these names alone, and count them; returns how many."""
    asked = {name: question for name, question in questions(job).items() if only(name)}
    for item in Item.objects.filter(job=job, custom_id__in=asked):
        said = {"choices": [{"message": {"role": "assistant", "content": say(asked[item.custom_id])}, "finish_reason": "stop"}]}
        end_item(item, answer=json.dumps(said).encode())
    Job.objects.filter(id=job.id).update(done=F("done") + len(asked))
    return len(asked)


def bury(job: Job, name: str) -> Item:
    """One item is given up."""
    item = Item.objects.get(job=job, custom_id=name)
    end_item(item, state=ItemState.DEAD, error_code="server_error", error_message="It failed.", run_id=uuid7(), fingerprint="f" * 16)
    Job.objects.filter(id=job.id).update(dead=F("dead") + 1)
    return item


def run_out(job: Job, say: Say = lambda question: f"<{question}>", *, rounds: int = 20) -> int:
    """Answer and carry on until the job has ended; how many calls that took."""
    calls = 0
    for _ in range(rounds):
        calls += answer(job, say)
        finish_job(job_id=job.id, clock=clock)
        job.refresh_from_db()
        if job.ended_at is not None:
            return calls
    raise AssertionError(f"the job is still {job.status}")
