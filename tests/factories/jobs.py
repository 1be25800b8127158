"""Jobs as a back office shows them: items in every state, with bodies, runs, exchanges and charges."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.utils import timezone

from apps.accounts.models import Workspace
from apps.jobs.domain.lifecycle import ItemState, JobStatus
from apps.jobs.models import Item, Job, Pump
from apps.lib.ids import uuid7
from apps.providers.models import Model, Provider, Target
from apps.spend.models import Charge, Price
from apps.traces.actions import store_bodies
from apps.traces.domain.bodies import make_body
from apps.traces.models import Exchange, Run
from tests.factories.accounts import make_workspace
from tests.factories.files import make_file

DONE_COST = Decimal("0.000125")


@dataclass(frozen=True)
class Route:
    """A model with one target and its price."""

    model: Model
    provider: Provider
    target: Target
    price: Price


def make_route(name: str = "small", *, upstream_model: str = "gpt-x-mini", provider_name: str = "primary") -> Route:
    provider, _ = Provider.objects.get_or_create(name=provider_name, defaults={"base_url": "http://127.0.0.1:9001/v1"})
    model, _ = Model.objects.get_or_create(name=name)
    target, _ = Target.objects.get_or_create(model=model, provider=provider, upstream_model=upstream_model)
    price, _ = Price.objects.get_or_create(
        provider_id=provider.id,
        upstream_model=upstream_model,
        effective_from=datetime(2026, 1, 1, tzinfo=UTC),
        defaults={"input_usd_per_million": Decimal("0.15"), "output_usd_per_million": Decimal("0.60")},
    )
    return Route(model, provider, target, price)


def make_job(
    *,
    workspace: Workspace | None = None,
    status: JobStatus = JobStatus.RUNNING,
    done: int = 2,
    dead: int = 1,
    running: int = 1,
    waiting: int = 1,
    lane: str = "default",
    **values: Any,
) -> Job:
    """A batch whose items stand as the numbers say; those that ended have their whole record."""
    owner, route, now = workspace or make_workspace(), make_route(), timezone.now()
    job = Job.objects.create(
        workspace=owner,
        kind="batch",
        status=status,
        lane=lane,
        endpoint="/v1/chat/completions",
        model_name=route.model.name,
        input_file=make_file(b"{}\n", workspace=owner, filename="questions.jsonl", now=now),
        **{
            "total": done + dead + running + waiting,
            "done": done,
            "dead": dead,
            "input_tokens": 400 * done,
            "output_tokens": 100 * done,
            "cost_usd": DONE_COST * done,
            "started_at": now - timedelta(minutes=2),
            "expires_at": now + timedelta(days=1),
        }
        | values,
    )
    states = [ItemState.DONE] * done + [ItemState.DEAD] * dead + [ItemState.RUNNING] * running + [ItemState.WAITING] * waiting
    for position, state in enumerate(states, start=1):
        make_item(job, route=route, state=state, position=position)
    return job


def make_item(job: Job, *, route: Route, state: ItemState, position: int) -> Item:
    """One item of a job, with what belongs to its state."""
    question = {"model": route.model.name, "messages": [{"role": "user", "content": f"What is {position} times seven? <b>&"}]}
    request = make_body(job.workspace_id, json.dumps(question).encode())
    store_bodies([request])
    item = Item.objects.create(
        id=uuid7(),
        job=job,
        workspace_id=job.workspace_id,
        model_id=route.model.id,
        lane=job.lane,
        position=position,
        custom_id=f"question-{position}",
        request_body_id=request.id,
        state=state,
    )
    if state == ItemState.DONE:
        _answer(item, route, is_first_try=position % 2 == 1)
    elif state == ItemState.DEAD:
        _bury(item, route)
    elif state == ItemState.RUNNING:
        Item.objects.filter(id=item.id).update(run_id=uuid7(), lease_until=timezone.now() + timedelta(minutes=1), claimed_at=timezone.now())
    return Item.objects.get(id=item.id)


def make_pump(worker_set: str = "exec", **values: Any) -> Pump:
    """A pump that lives."""
    return Pump.objects.create(
        **{"worker_set": worker_set, "hostname": "host-1", "pid": 4711, "window": 500, "in_flight": 120, "done": 9000} | values
    )


def _answer(item: Item, route: Route, *, is_first_try: bool) -> None:
    answer = {
        "id": f"chatcmpl-{item.position}",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": f"It is {item.position * 7}."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 400, "completion_tokens": 100, "total_tokens": 500},
    }
    body = make_body(item.workspace_id, json.dumps(answer).encode())
    store_bodies([body])
    if not is_first_try:
        failed = _run(item, outcome="throttled", decision="retry", attempt=1, error_code="rate_limit_exceeded")
        _exchange(item, route, failed, outcome="throttled", status_code=429)
    run = _run(item, outcome="ok", decision="done", attempt=1 if is_first_try else 2)
    _exchange(item, route, run, outcome="ok", status_code=200, answer_body_id=body.id)
    Charge.objects.create(
        workspace_id=item.workspace_id,
        job_id=item.job_id,
        item_id=item.id,
        run_id=run.id,
        model_id=route.model.id,
        provider_id=route.provider.id,
        upstream_model=route.target.upstream_model,
        price_id=route.price.id,
        lane=item.lane,
        input_tokens=400,
        output_tokens=100,
        cost_usd=DONE_COST,
    )
    Item.objects.filter(id=item.id).update(
        answer_body_id=body.id,
        status_code=200,
        outcome="ok",
        input_tokens=400,
        output_tokens=100,
        cost_usd=DONE_COST,
        ended_at=timezone.now(),
    )


def _bury(item: Item, route: Route) -> None:
    run = _run(item, outcome="rejected", decision="dead", attempt=1, error_code="context_length_exceeded")
    _exchange(item, route, run, outcome="rejected", status_code=400)
    Item.objects.filter(id=item.id).update(
        status_code=400,
        outcome="rejected",
        attempts=1,
        error_code="context_length_exceeded",
        error_message="The prompt has 9,000 tokens; the model takes 8,192.",
        ended_at=timezone.now(),
    )


def _run(item: Item, *, outcome: str, decision: str, attempt: int, error_code: str = "") -> Run:
    now = timezone.now()
    return Run.objects.create(
        workspace_id=item.workspace_id,
        job_id=item.job_id,
        item_id=item.id,
        attempt=attempt,
        outcome=outcome,
        decision=decision,
        error_code=error_code,
        claimed_at=now - timedelta(seconds=2),
        ended_at=now,
    )


def _exchange(item: Item, route: Route, run: Run, *, outcome: str, status_code: int, answer_body_id: bytes | None = None) -> Exchange:
    return Exchange.objects.create(
        workspace_id=item.workspace_id,
        run_id=run.id,
        provider_id=route.provider.id,
        target_id=route.target.id,
        upstream_model=route.target.upstream_model,
        path="/chat/completions",
        outcome=outcome,
        status_code=status_code,
        provider_request_id=f"req_{UUID(int=item.position).hex[-8:]}",
        sent_at=timezone.now() - timedelta(seconds=2),
        first_byte_seconds=0.412,
        duration_seconds=1.204,
        answer_body_id=answer_body_id,
    )
