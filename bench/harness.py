"""What every benchmark begins with: empty stores, a model answered by the simulator, and jobs of that model."""

import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
from django.core.management import call_command
from django.db import connection

from apps.accounts.actions import create_api_key, ensure_workspace
from apps.accounts.models import Workspace
from apps.jobs.models import Item, Job
from apps.lib.ids import uuid7
from apps.lib.redis_client import redis_client
from apps.providers.models import Model, Provider, Target
from apps.spend.actions import set_budget
from apps.spend.domain.budgets import Owner
from apps.spend.models import Price
from apps.traces.actions import store_bodies
from apps.traces.domain.bodies import make_body

CHAT = "/v1/chat/completions"
MODEL = "bench"
_CHUNK = 5000
_FILLER = "Consider the following carefully and answer in one short sentence, without preamble or afterthought. " * 4


def prepare() -> None:
    """Tables, and an empty Redis database."""
    call_command("migrate", verbosity=0)
    redis_client().flushdb()
    forget_work()


def forget_work() -> None:
    """Empty the tables that grow, so that one measurement doesn't weigh on the next."""
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE jobs_item, jobs_stepitem, jobs_job, jobs_aside, traces_body, traces_run, traces_exchange, spend_charge, spend_budget,"
            " spend_budgetperiod, spend_reservation, spend_resolution, spend_waste, spend_saving,"
            " spend_rollup, spend_dayrollup, spend_quarterrollup, spend_jobrollup, spend_jobcost,"
            " spend_userdayrollup, spend_usermonthrollup, spend_userrollup, spend_rollupmark CASCADE"
        )


def declare_model(base_url: str) -> tuple[Workspace, Model]:
    """The model `bench`, answered by the simulator at a price."""
    provider = Provider.objects.update_or_create(name="bench", defaults={"base_url": base_url})[0]
    model = Model.objects.get_or_create(name=MODEL)[0]
    Target.objects.get_or_create(model=model, provider=provider, upstream_model="simulated")
    prices = {"input_usd_per_million": Decimal("0.15"), "output_usd_per_million": Decimal("0.60")}
    Price.objects.get_or_create(
        provider_id=provider.id, upstream_model="simulated", effective_from=datetime(2020, 1, 1, tzinfo=UTC), defaults=prices
    )
    return ensure_workspace(name="bench"), model


def make_key(workspace: Workspace) -> str:
    """The secret of a new key of all scopes."""
    return create_api_key(workspace_id=workspace.id, name="bench").secret


def make_budgets(job: Job) -> None:
    """A hard budget on each of four levels that the job belongs to; each leaves room."""
    owners = (
        Owner("platform"),
        Owner("workspace", workspace_id=job.workspace_id),
        Owner("feature", workspace_id=job.workspace_id, subject="bench"),
        Owner("job", workspace_id=job.workspace_id, job_id=job.id),
    )
    for owner in owners:
        set_budget(owner=owner, period="total", cap_usd=Decimal(1_000_000))


def make_job(
    workspace: Workspace,
    model: Model,
    *,
    items: int,
    lane: str = "default",
    prefix: Callable[[int], str] = lambda _: "",
    feature: str = "",
) -> Job:
    """A running job as validation leaves it: about 500 bytes a request, `prefix` before each prompt. Nothing is rung."""
    job = Job.objects.create(
        workspace=workspace, kind="batch", lane=lane, endpoint=CHAT, status="validating", total=items, started_at=datetime.now(UTC)
    )
    for first in range(0, items, _CHUNK):
        bodies = [
            make_body(
                workspace.id, json.dumps({"model": MODEL, "messages": [{"role": "user", "content": f"{prefix(n)}{_FILLER}{n}"}]}).encode()
            )
            for n in range(first, min(first + _CHUNK, items))
        ]
        store_bodies(bodies)
        Item.objects.bulk_create(
            Item(
                id=uuid7(), job=job, workspace=workspace, model_id=model.id, lane=lane, position=first + n + 1,
                custom_id=f"line-{first + n + 1}", request_body_id=body.id, feature=feature,
            )
            for n, body in enumerate(bodies)
        )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE jobs_item")
    Job.objects.filter(id=job.id).update(status="running")
    return job


def wait_until_ended(job: Job, *, seconds: float) -> None:
    """Until every item has ended; gives up (loudly) after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        job.refresh_from_db(fields=["done", "dead"])
        if job.done + job.dead >= job.total:
            return
        if time.monotonic() > deadline:
            sys.exit(f"only {job.done + job.dead} of {job.total} items ended within {seconds:.0f} s")
        time.sleep(0.05)


def fetch(query: str, *values: object) -> list[tuple[Any, ...]]:
    """Rows of a query on a connection of its own, so that it may be asked from any thread and from within an event loop."""
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True, application_name="bench") as own:
        return own.execute(query.encode(), values).fetchall()
