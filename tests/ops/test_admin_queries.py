"""Every page of the back office asks the database the same number of times, whether it shows five rows or fifty."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django_celery_results.models import TaskResult

from apps.accounts.actions import record_audit
from apps.accounts.models import ApiKey, Member, User, Workspace
from apps.files.models import File
from apps.jobs.models import Item, Job, Pump
from apps.providers.models import Model, Provider, Target
from apps.spend.models import Charge, Price
from apps.traces.models import Exchange, Run
from apps.webhooks.models import Attempt, Delivery
from tests.factories.accounts import make_api_key, make_office_client, make_user, make_workspace
from tests.factories.files import make_file
from tests.factories.jobs import make_job, make_pump, make_route
from tests.factories.webhooks import make_delivery

pytestmark = pytest.mark.django_db


def members(number: int) -> Workspace:
    """One workspace with so many members."""
    workspace = make_workspace("crowded")
    start = Member.objects.filter(workspace=workspace).count()
    for n in range(start, number):
        Member.objects.create(workspace=workspace, user=User.objects.create(username=f"member-{n}"))
    return workspace


def targets(number: int) -> Model:
    """One model with so many targets."""
    model = make_route("crowded").model
    start = model.targets.count()
    for n in range(start, number):
        provider = Provider.objects.create(name=f"provider-{n}", base_url="http://127.0.0.1:9/v1")
        Target.objects.create(model=model, provider=provider, upstream_model="x", position=n)
    return model


def job_of(number: int) -> Job:
    """A job of so many items; what it shows of them is grouped."""
    return make_job(workspace=make_workspace(f"w-{number}"), done=number, dead=number, running=number, waiting=number)


def grow(number: int) -> None:
    """So many rows of everything that has a list."""
    have = Job.objects.count()
    for n in range(have, number):
        job = make_job(workspace=make_workspace(f"many-{n}"), done=1, dead=1, running=0, waiting=1)
        make_api_key(job.workspace)
        make_pump(pid=n + 1)
        make_user(f"user-{n}", **{f"many-{n}": "member"})  # type: ignore[arg-type]  # a role by its value
        make_route(f"model-{n}", upstream_model=f"upstream-{n}", provider_name=f"many-{n}")
        make_file(f"{n}\n".encode(), workspace=job.workspace)
        make_delivery(job.workspace)
        Group.objects.create(name=f"group-{n}")
        TaskResult.objects.create(task_id=f"task-{n}", task_name="jobs.report", status="SUCCESS", result="{}")
        record_audit(verb="tried", object_type="thing", workspace_id=job.workspace_id)


LISTS = [f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist" for model in admin.site._registry if model._meta.model_name]


def attempts(number: int) -> Delivery:
    """One delivery with so many attempts."""
    delivery = make_delivery(make_workspace(f"attempts-{number}"))
    for n in range(number):
        Attempt.objects.create(delivery=delivery, number=n, sent_at=delivery.created_at, status=500)
    return delivery


# A page of one row, with as many rows behind it as are asked for.
PAGES: dict[str, Callable[[int], Any]] = {
    "accounts_workspace": members,
    "providers_model": targets,
    "jobs_job": job_of,
    "webhooks_delivery": attempts,
}


def queries(client: Client, path: str) -> list[str]:
    client.get(path)
    with CaptureQueriesContext(
        connection,
    ) as captured:
        answer = client.get(path)
    assert answer.status_code == 200, path
    return [query["sql"][:200] for query in captured.captured_queries]


def test_lists_ask_as_often_for_fifty_rows_as_for_five() -> None:
    client = make_office_client()
    grow(5)
    paths = [reverse("admin:index"), *(reverse(name) for name in LISTS)]
    few = {path: queries(client, path) for path in paths}
    grow(50)
    more = {path: (len(few[path]), len(asked), asked) for path in paths if len(asked := queries(client, path)) > len(few[path])}
    assert more == {}
    assert all(table.objects.count() >= 50 for table in (Item, File, ApiKey, Pump, Provider, Charge, Price, Run, Exchange))


@pytest.mark.parametrize("name", PAGES)
def test_pages_ask_as_often_for_fifty_rows_as_for_five(name: str) -> None:
    client = make_office_client()
    few = queries(client, reverse(f"admin:{name}_change", args=[PAGES[name](5).pk]))
    many = queries(client, reverse(f"admin:{name}_change", args=[PAGES[name](50).pk]))
    assert len(many) <= len(few), many


def test_an_items_page_asks_as_often_for_many_runs_as_for_one() -> None:
    client = make_office_client()
    job = make_job(done=1, dead=0, running=0, waiting=0)
    item = Item.objects.get(job=job)
    page = reverse("admin:jobs_item_change", args=[item.pk])
    few = queries(client, page)
    run, exchange = Run.objects.get(item_id=item.pk), Exchange.objects.get()
    for _ in range(20):
        again = Run.objects.create(**{field.name: getattr(run, field.name) for field in Run._meta.fields if field.name != "id"})
        values = {field.name: getattr(exchange, field.name) for field in Exchange._meta.fields if field.name not in {"id", "run_id"}}
        Exchange.objects.create(run_id=again.id, **values)
    assert len(queries(client, page)) == len(few)
