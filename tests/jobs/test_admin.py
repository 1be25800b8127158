"""Jobs, items and pumps in the back office."""

from decimal import Decimal
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import AuditEntry, Role
from apps.jobs.domain.lifecycle import ItemState, JobStatus
from apps.jobs.models import Item, Job
from apps.lib.large_tables import BoundedPaginator
from apps.traces.models import Run
from tests.factories.accounts import make_office_client, make_user, make_workspace
from tests.factories.jobs import make_job, make_pump

pytestmark = pytest.mark.django_db
JOBS = "admin:jobs_job_changelist"
ITEMS = "admin:jobs_item_changelist"


@pytest.fixture
def office() -> Client:
    return make_office_client()


def text(client: Client, name: str, *arguments: Any, **query: str) -> str:
    answer = client.get(reverse(name, args=arguments), query)
    assert answer.status_code == 200
    return answer.content.decode()


def shown_items(client: Client, **query: str) -> list[str]:
    """The custom_ids that the list shows."""
    answer = client.get(reverse(ITEMS), query)
    return [item.custom_id for item in answer.context["cl"].result_list]


# --- jobs ---------------------------------------------------------------------------------------------------------------


def test_a_jobs_row_shows_how_far_it_is_and_what_it_cost(office: Client) -> None:
    job = make_job(done=2, dead=1, running=1, waiting=1, cost_usd=Decimal("1.5"))
    page = text(office, JOBS)
    assert job.public_id in page
    assert "2 done, 1 dead of 5" in page
    assert "$1.5000" in page


@pytest.mark.parametrize("search", ["public", "uuid"])
def test_a_job_is_found_by_either_form_of_its_id(office: Client, search: str) -> None:
    wanted, other = make_job(), make_job()
    page = text(office, JOBS, q=wanted.public_id if search == "public" else str(wanted.id))
    assert wanted.public_id in page
    assert other.public_id not in page


def test_a_jobs_page_links_its_items_and_files(office: Client) -> None:
    job = make_job()
    page = text(office, "admin:jobs_job_change", job.id)
    assert f"?job={job.id}" in page
    assert reverse("admin:files_file_content", args=[job.input_file_id]) in page


def test_a_job_that_validation_refused_says_why(office: Client) -> None:
    errors = [{"code": "invalid_json_line", "message": "This line is not an object.", "param": None, "line": 3}]
    job = make_job(status=JobStatus.FAILED, done=0, dead=0, running=0, waiting=0, errors=errors, ended_at=timezone.now())
    assert "<td>3</td><td>This line is not an object.</td>" in text(office, "admin:jobs_job_change", job.id)


@pytest.mark.parametrize(("status", "code"), [(JobStatus.RUNNING, 200), (JobStatus.COMPLETED, 286)])
def test_the_live_part_stops_asking_when_the_job_has_ended(office: Client, status: JobStatus, code: int) -> None:
    ended = {"ended_at": timezone.now()} if status == JobStatus.COMPLETED else {}
    job = make_job(status=status, running=0, waiting=0, **ended)
    answer = office.get(reverse("admin:jobs_job_progress", args=[job.id]))
    assert answer.status_code == code
    assert "<html" not in answer.content.decode()


def test_pause_and_resume(office: Client) -> None:
    job = make_job()
    office.post(reverse("admin:jobs_job_pause", args=[job.id]))
    assert Job.objects.get(id=job.id).status == JobStatus.PAUSED
    office.post(reverse("admin:jobs_job_resume", args=[job.id]))
    assert Job.objects.get(id=job.id).status == JobStatus.RUNNING


def test_cancelling_asks_first(office: Client) -> None:
    job = make_job()
    page = text(office, "admin:jobs_job_cancel", job.id)
    assert "undone" in page
    assert Job.objects.get(id=job.id).status == JobStatus.RUNNING
    office.post(reverse("admin:jobs_job_cancel", args=[job.id]))
    assert Job.objects.get(id=job.id).status == JobStatus.CANCELLING


def test_what_can_not_be_done_is_said_not_thrown(office: Client) -> None:
    job = make_job(status=JobStatus.COMPLETED, running=0, waiting=0, ended_at=timezone.now())
    answer = office.post(reverse("admin:jobs_job_cancel", args=[job.id]), follow=True)
    assert answer.status_code == 200
    assert [message.level_tag for message in answer.context["messages"]] == ["error"]


def test_changes_need_a_post(office: Client) -> None:
    job = make_job()
    assert office.get(reverse("admin:jobs_job_pause", args=[job.id])).status_code == 405
    assert Job.objects.get(id=job.id).status == JobStatus.RUNNING


def test_changes_need_the_csrf_token() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user("root", is_superuser=True))
    job = make_job()
    assert client.post(reverse("admin:jobs_job_cancel", args=[job.id])).status_code == 403


@pytest.mark.parametrize(("role", "status"), [(Role.VIEWER, "running"), (Role.MEMBER, "paused"), (Role.OWNER, "paused")])
def test_viewers_look_members_act(role: Role, status: str) -> None:
    job = make_job(workspace=make_workspace("acme"))
    make_office_client(make_user(acme=role)).post(reverse("admin:jobs_job_pause", args=[job.id]))
    assert Job.objects.get(id=job.id).status == status


def test_a_viewers_page_has_no_buttons_that_change() -> None:
    job = make_job(workspace=make_workspace("acme"))
    page = text(make_office_client(make_user(acme=Role.VIEWER)), "admin:jobs_job_change", job.id)
    assert reverse("admin:jobs_job_pause", args=[job.id]) not in page


@pytest.mark.parametrize("page", ["progress", "cancel", "pause", "resume", "rerun", "lane", "errors"])
def test_another_workspaces_job_is_not_there(page: str) -> None:
    job = make_job(workspace=make_workspace("globex"))
    client = make_office_client(make_user(acme=Role.OWNER))
    call = client.post if page in {"pause", "resume", "lane"} else client.get
    assert call(reverse(f"admin:jobs_job_{page}", args=[job.id])).status_code == 404


def test_another_workspaces_rows_are_in_no_list() -> None:
    make_job(workspace=make_workspace("globex"))
    client = make_office_client(make_user(acme=Role.OWNER))
    lists = (JOBS, ITEMS, "admin:files_file_changelist", "admin:spend_charge_changelist", "admin:traces_run_changelist")
    for name in (*lists, "admin:traces_exchange_changelist"):
        answer = client.get(reverse(name))
        assert (name, answer.status_code, list(answer.context["cl"].result_list)) == (name, 200, [])
        assert "globex" not in answer.content.decode()


def test_jobs_can_not_be_edited_or_deleted(office: Client) -> None:
    job = make_job()
    assert office.post(reverse("admin:jobs_job_change", args=[job.id]), {"status": "completed"}).status_code == 403
    assert office.post(reverse("admin:jobs_job_delete", args=[job.id]), {"post": "yes"}).status_code == 403
    assert office.get(reverse("admin:jobs_job_add")).status_code == 403


def test_dead_items_are_grouped_by_what_they_died_of_and_linked(office: Client) -> None:
    job = make_job(done=0, dead=3, running=0, waiting=0)
    first = Item.objects.filter(job=job).first()
    assert first
    Item.objects.filter(id=first.id).update(outcome="ambiguous", error_code="timeout", error_message="<b>late</b>")
    make_job(done=0, dead=2, running=0, waiting=0)
    groups = office.get(reverse("admin:jobs_job_errors", args=[job.id])).context["error_groups"]
    assert [(row["group"].outcome, row["group"].code, row["group"].items) for row in groups] == [
        ("rejected", "context_length_exceeded", 2),
        ("ambiguous", "timeout", 1),
    ]
    listed = office.get(groups[1]["url"]).context["cl"].result_list
    assert [item.id for item in listed] == [first.id]
    assert len(office.get(groups[0]["url"]).context["cl"].result_list) == 2


def test_rerunning_asks_first_and_takes_a_reason(office: Client) -> None:
    job = make_job(done=1, dead=2, running=0, waiting=0, status=JobStatus.COMPLETED, ended_at=timezone.now())
    assert reverse("admin:jobs_job_rerun", args=[job.id]) in text(office, "admin:jobs_job_change", job.id)
    assert "2 items" in text(office, "admin:jobs_job_rerun", job.id)
    assert Job.objects.get(id=job.id).dead == 2
    office.post(reverse("admin:jobs_job_rerun", args=[job.id]), {"reason": "the provider is back"})
    job.refresh_from_db()
    assert (job.dead, job.status, job.revision) == (0, JobStatus.RUNNING, 2)
    assert AuditEntry.objects.get(verb="rerun").reason == "the provider is back"


def test_a_job_moves_to_another_lane(office: Client) -> None:
    job = make_job()
    office.post(reverse("admin:jobs_job_lane", args=[job.id]), {"lane": "bulk"}, follow=True)
    assert Job.objects.get(id=job.id).lane == "bulk"
    answer = office.post(reverse("admin:jobs_job_lane", args=[job.id]), {"lane": "nowhere"}, follow=True)
    assert [message.level_tag for message in answer.context["messages"]] == ["error"]


def test_running_and_waiting_are_told_apart(office: Client) -> None:
    job = make_job(done=2, dead=1, running=3, waiting=4)
    context = office.get(reverse("admin:jobs_job_progress", args=[job.id])).context
    assert (context["running"], context["waiting"]) == (3, 4)


# --- items --------------------------------------------------------------------------------------------------------------


def test_items_by_state_and_job(office: Client) -> None:
    job = make_job(done=1, dead=1, running=0, waiting=0)
    make_job(done=0, dead=2, running=0, waiting=0)
    assert shown_items(office, q=str(job.id), state__exact="dead") == ["question-2"]


@pytest.mark.parametrize("search", ["item", "public item", "run", "public run", "custom_id"])
def test_an_item_is_found_by(office: Client, search: str) -> None:
    make_job(done=1, dead=1, running=1, waiting=1)
    item = Item.objects.get(custom_id="question-1")
    run = Run.objects.get(item_id=item.id)
    terms = {
        "item": str(item.id),
        "public item": item.public_id,
        "run": str(run.id),
        "public run": f"run_{run.id.hex}",
        "custom_id": "question-1",
    }
    assert shown_items(office, q=terms[search]) == ["question-1"]


def test_a_search_is_for_the_whole_custom_id_so_that_it_stays_cheap(office: Client) -> None:
    make_job(done=1)
    assert shown_items(office, q="question") == []


def test_an_items_page_tells_everything(office: Client) -> None:
    make_job(done=2, dead=0, running=0, waiting=0)
    item = Item.objects.get(custom_id="question-2")
    page = text(office, "admin:jobs_item_change", item.id)
    assert "What is 2 times seven? &lt;b&gt;&amp;" in page
    assert "It is 14." in page
    assert "rate_limit_exceeded" in page
    assert "429" in page
    assert "$0.000125" in page


def test_a_dead_item_says_why(office: Client) -> None:
    make_job(done=0, dead=1, running=0, waiting=0)
    item = Item.objects.get(state=ItemState.DEAD)
    page = text(office, "admin:jobs_item_change", item.id)
    assert "the model takes 8,192" in page
    assert "Nothing was charged" in page


def test_a_waiting_item_has_no_answer_yet(office: Client) -> None:
    make_job(done=0, dead=0, running=0, waiting=1)
    page = text(office, "admin:jobs_item_change", Item.objects.get().id)
    assert "None yet." in page
    assert "Not tried yet." in page


def test_an_item_of_another_workspace_is_not_there() -> None:
    make_job(workspace=make_workspace("globex"))
    client = make_office_client(make_user(acme=Role.OWNER))
    assert client.get(reverse("admin:jobs_item_change", args=[Item.objects.all()[0].id])).status_code == 302


def test_the_list_of_items_asks_the_same_however_long_it_is(office: Client, django_assert_max_num_queries: Any) -> None:
    make_job(done=0, dead=0, running=0, waiting=60)
    with django_assert_max_num_queries(8):
        text(office, ITEMS)


def test_a_chooser_counts_to_a_limit_and_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    make_job(done=0, dead=0, running=0, waiting=5)
    assert BoundedPaginator(Item.objects.order_by("pk"), 2).num_pages == 3
    monkeypatch.setattr("apps.lib.large_tables.COUNTED_ROWS", 3)
    assert str(BoundedPaginator(Item.objects.order_by("pk"), 2).count) == "3+"


# --- pumps --------------------------------------------------------------------------------------------------------------


def test_pumps_are_for_superusers(office: Client) -> None:
    make_pump()
    assert "host-1" in text(office, "admin:jobs_pump_changelist")
    client = make_office_client(make_user(acme=Role.OWNER))
    assert client.get(reverse("admin:jobs_pump_changelist")).status_code == 403


# --- files --------------------------------------------------------------------------------------------------------------


def test_a_file_is_downloaded(office: Client) -> None:
    job = make_job()
    assert job.input_file
    answer = office.get(reverse("admin:files_file_content", args=[job.input_file_id]))
    assert b"".join(answer.streaming_content) == b"{}\n"  # type: ignore[attr-defined]  # a streaming answer
    assert answer.headers["Content-Disposition"] == 'attachment; filename="questions.jsonl"'
    default_storage.delete(job.input_file.storage_key)
    answer = office.get(reverse("admin:files_file_content", args=[job.input_file_id]), follow=True)
    assert "missing from the storage" in answer.content.decode()


def test_another_workspaces_file_is_not_there() -> None:
    job = make_job(workspace=make_workspace("globex"))
    client = make_office_client(make_user(acme=Role.OWNER))
    assert client.get(reverse("admin:files_file_content", args=[job.input_file_id])).status_code == 404
