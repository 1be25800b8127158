"""The home page, the sidebar, task results, and what browsers are allowed to do."""

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from django_celery_results.models import TaskResult

from apps.accounts.models import Role
from tests.factories.accounts import make_office_client, make_user, make_workspace
from tests.factories.jobs import make_job

pytestmark = pytest.mark.django_db
HOME = "admin:index"


def home(client: Client) -> str:
    return client.get(reverse(HOME)).content.decode()


def links(client: Client) -> dict[str, list[str]]:
    """Group -> titles, as the sidebar shows them."""
    navigation = client.get(reverse(HOME)).context["sidebar_navigation"]
    return {group.get("title", ""): [item["title"] for item in group["items"]] for group in navigation}


def test_an_empty_platform_says_what_to_do_next() -> None:
    page = home(make_office_client())
    assert "No batch yet" in page
    assert reverse("admin:accounts_apikey_changelist") in page


def test_home_tells_what_runs_what_died_and_what_it_cost() -> None:
    job = make_job(done=2, dead=1, running=1, waiting=3)
    context = make_office_client().get(reverse(HOME)).context
    assert context["work"] == {"jobs": 1, "running": 1, "waiting": 3}
    assert context["dead_today"] == 1
    assert f"{context['cost_today']:f}".rstrip("0") == "0.00025"
    assert [shown.id for shown in context["recent_jobs"]] == [job.id]


def test_staff_see_the_sums_of_their_workspaces_alone() -> None:
    make_job(workspace=make_workspace("globex"))
    answer = make_office_client(make_user(acme=Role.VIEWER)).get(reverse(HOME))
    assert answer.context["work"] == {"jobs": 0, "running": 0, "waiting": 0}
    assert answer.context["dead_today"] == 0
    assert answer.context["cost_today"] == 0
    assert "globex" not in answer.content.decode()


def test_what_is_not_ready_is_told() -> None:
    assert "Not ready to work" in home(make_office_client())


def test_the_sidebar_is_ordered_by_what_people_look_for() -> None:
    shown = links(make_office_client())
    assert list(shown) == ["", "Work", "Conversations", "Providers", "Money", "Traces", "Webhooks", "Accounts", "System"]
    assert shown["Work"] == ["Jobs", "Items", "Dead items", "Prompts", "Recipes", "Collections", "Documents", "Files", "Alerts"]
    assert "Flower" in shown["System"]


def test_the_sidebar_hides_what_is_closed() -> None:
    shown = links(make_office_client(make_user(acme=Role.OWNER)))
    assert list(shown) == ["", "Work", "Conversations", "Money", "Traces", "Webhooks", "Accounts"]
    assert shown["Accounts"] == ["Workspaces", "API keys", "Audit log"]


def test_every_link_of_the_sidebar_opens() -> None:
    for client in (make_office_client(), make_office_client(make_user(acme=Role.VIEWER))):
        for group in client.get(reverse(HOME)).context["sidebar_navigation"]:
            for item in group["items"]:
                link = str(item["link"])
                assert link == settings.FLOWER_URL or (link, client.get(link).status_code) == (link, 200)


def test_task_results_are_readable_and_nothing_else() -> None:
    result = TaskResult.objects.create(task_id="one", task_name="jobs.report", status="SUCCESS", result='{"bulk": 1}')
    client = make_office_client()
    assert "jobs.report" in client.get(reverse("admin:django_celery_results_taskresult_changelist")).content.decode()
    page = reverse("admin:django_celery_results_taskresult_change", args=[result.pk])
    assert client.get(page).status_code == 200
    assert client.post(page, {"status": "FAILURE"}).status_code == 403


def policy(client: Client, path: str) -> dict[str, str]:
    header = client.get(path).headers["Content-Security-Policy"]
    return {name: values for name, _, values in (part.strip().partition(" ") for part in header.split(";"))}


def test_only_the_back_office_may_evaluate_and_style_inline(client: Client) -> None:
    office = policy(make_office_client(), reverse(HOME))
    assert office["script-src"] == "'self' 'unsafe-eval'"
    assert office["style-src"] == "'self' 'unsafe-inline'"
    assert office["frame-ancestors"] == "'none'"
    assert "unsafe" not in client.get("/healthz").headers["Content-Security-Policy"]
    assert "unsafe" not in client.get("/v1/files").headers["Content-Security-Policy"]


def test_no_page_carries_an_inline_script() -> None:
    import re

    make_job()
    client = make_office_client()
    for name in (HOME, "admin:jobs_job_changelist", "admin:jobs_item_changelist", "admin:accounts_apikey_add"):
        page = client.get(reverse(name)).content.decode()
        inline = [tag for tag in re.findall(r"<script\b[^>]*>", page) if "src=" not in tag and "application/json" not in tag]
        assert (name, inline, re.findall(r"\son\w+=\"", page)) == (name, [], [])
