"""Jobs and items in the native API: lists, records, and changes of course."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.domain.keys import Scope
from apps.accounts.models import Role
from apps.jobs.domain.lifecycle import ItemState, JobStatus
from apps.jobs.models import Item, Job
from apps.providers.models import Provider
from apps.traces.actions import store_bodies
from apps.traces.domain.bodies import make_body
from apps.traces.models import Exchange, Run
from tests.factories.accounts import make_client, make_user, make_workspace
from tests.factories.jobs import make_job
from tests.jobs.rows import make_job as make_bare_job
from tests.spend.purses import make_budget

pytestmark = pytest.mark.django_db


def pages(client: Client, path: str, **query: Any) -> list[list[dict[str, Any]]]:
    """Every page of a list, followed by its cursors."""
    found: list[list[dict[str, Any]]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = client.get(path, query | cursor)
        assert answer.status_code == 200, answer.content
        body = answer.json()
        assert set(body) == {"data", "next_cursor"}
        found.append(body["data"])
        if body["next_cursor"] is None:
            return found
        cursor = {"cursor": body["next_cursor"]}


def post(client: Client, path: str, body: object = None) -> Any:
    return client.post(path, data=json.dumps(body) if body is not None else b"", content_type="application/json")


def test_a_job_tells_what_holds_it_only_while_it_is_held() -> None:
    job = make_bare_job()
    budget = make_budget(cap="1")
    now = timezone.now()
    states = [
        (budget.id, None, None, True),
        (budget.id, now + timedelta(days=1), None, True),
        # The budget is fresh again.
        (budget.id, now - timedelta(days=1), None, False),
        # It was let go of, which the row remembers; and later it ended.
        (None, now, None, False),
        (None, now, now, False),
    ]
    for held_by, until, ended_at, is_held in states:
        Job.objects.filter(id=job.id).update(held_by_id=held_by, held_until=until, ended_at=ended_at)
        told = make_client().get(f"/api/jobs/{job.public_id}").json()
        expected = (budget.public_id, until and until.isoformat().replace("+00:00", "Z")) if is_held else (None, None)
        assert (told["held_by"], told["held_until"]) == expected


def test_a_job_tells_how_far_it_is_how_fast_it_goes_and_what_it_costs() -> None:
    now = timezone.now()
    job = make_job(done=6, dead=2, running=1, waiting=3)
    Job.objects.filter(id=job.id).update(started_at=now - timedelta(seconds=800))
    told = make_client().get(f"/api/jobs/{job.public_id}").json()
    assert (told["id"], told["kind"], told["model"], told["status"], told["lane"]) == (
        job.public_id,
        "batch",
        "small",
        "running",
        "default",
    )
    assert (told["total"], told["done"], told["dead"], told["open"]) == (12, 6, 2, 4)
    assert told["items_per_second"] == pytest.approx(0.01, rel=0.1)
    assert 360 <= told["remaining_seconds"] <= 440
    assert (told["input_tokens"], told["output_tokens"], told["cost_usd"]) == (2400, 600, "0.000750000000")
    assert told["input_file_id"].startswith("file-")
    assert (told["output_file_id"], told["errors"]) == (None, None)
    assert told["started_at"].endswith("Z")


def test_a_job_that_has_ended_has_nothing_left_to_do() -> None:
    job = make_job(done=2, dead=0, running=0, waiting=0, status=JobStatus.COMPLETED, ended_at=timezone.now())
    told = make_client().get(f"/api/jobs/{job.public_id}").json()
    assert (told["open"], told["remaining_seconds"]) == (0, None)


def test_jobs_come_newest_first_page_by_page_each_once() -> None:
    moment = timezone.now()
    # Three share each instant: the id decides among them.
    made = [make_bare_job(created_at=moment + timedelta(seconds=number // 3)).public_id for number in range(7)]
    make_bare_job(workspace=make_workspace("others"))
    found = pages(make_client(), "/api/jobs", limit=2)
    assert [len(page) for page in found] == [2, 2, 2, 1]
    assert [job["id"] for page in found for job in page] == made[::-1]


def test_jobs_are_narrowed_by_what_they_are() -> None:
    moment = timezone.now()
    old = make_bare_job(created_at=moment - timedelta(days=2), feature="search")
    single = make_bare_job(kind="single", lane="interactive")
    paused = make_bare_job(status=JobStatus.PAUSED)
    client = make_client()

    def ids(**query: str) -> set[str]:
        return {job["id"] for page in pages(client, "/api/jobs", **query) for job in page}

    assert ids(status="paused") == {paused.public_id}
    assert ids(lane="interactive") == ids(kind="single") == {single.public_id}
    assert ids(feature="search") == ids(created_before=(moment - timedelta(days=1)).isoformat()) == {old.public_id}
    assert ids(created_after=(moment - timedelta(days=1)).isoformat()) == {single.public_id, paused.public_id}
    assert ids(status="running", kind="batch", lane="bulk") == set()


@pytest.mark.parametrize(
    ("query", "param"),
    [
        *(("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"), ("limit=-1", "limit"), ("limit=9" + "9" * 4000, "limit")),
        *(("cursor=nonsense", "cursor"), ("cursor=%F0%9F%98%80", "cursor"), ("cursor=" + "a" * 5000, "cursor")),
        *(("status=nothing", "status"), ("lane=fast", "lane"), ("created_after=yesterday", "created_after"), ("kind=" + "x" * 99, "kind")),
    ],
)
def test_queries_that_make_no_sense_are_refused_by_name(query: str, param: str) -> None:
    answer = make_client().get(f"/api/jobs?{query}")
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")
    assert answer.json()["param"] == param


def test_a_cursor_of_one_list_is_none_of_another() -> None:
    for _ in range(2):
        make_bare_job(prompts=("a", "b"))
    client = make_client()
    cursor = client.get("/api/jobs?limit=1").json()["next_cursor"]
    answer = client.get(f"/api/jobs/{Job.objects.all()[0].public_id}/items", {"cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_cursor")


def test_items_come_in_the_order_of_their_lines_by_state_and_error() -> None:
    job = make_job(done=3, dead=2, running=1, waiting=1)
    make_job()
    client = make_client()
    path = f"/api/jobs/{job.public_id}/items"
    assert [item["position"] for page in pages(client, path, limit=3) for item in page] == [1, 2, 3, 4, 5, 6, 7]
    dead = [item for page in pages(client, path, state="dead", limit=1) for item in page]
    assert [(item["position"], item["error_code"]) for item in dead] == [(4, "context_length_exceeded"), (5, "context_length_exceeded")]
    assert pages(client, path, error_code="context_length_exceeded") == [dead]
    assert pages(client, path, error_code="other") == [[]]
    assert client.get(path, {"state": "sleeping"}).status_code == 400


def test_a_page_of_items_says_who_served_each_in_as_many_queries_for_many_as_for_one() -> None:
    job, client = make_job(done=5, dead=1, running=1, waiting=1), make_client()
    path = f"/api/jobs/{job.public_id}/items"
    counts = []
    for limit in (8, 1, 8):
        with CaptureQueriesContext(connection) as seen:
            page = client.get(path, {"limit": limit}).json()["data"]
        counts.append(len(seen))
    assert [item["served_by"] for item in page] == ["primary/gpt-x-mini"] * 5 + [None] * 3
    assert counts[1] == counts[2]


def test_result_lines_say_who_served_them_until_the_provider_is_gone() -> None:
    job = make_job(done=2, dead=1, running=0, waiting=0)
    path = f"/api/jobs/{job.public_id}/results"

    def servers() -> list[Any]:
        lines = [json.loads(line) for line in b"".join(make_client().get(path)).splitlines()]
        return [(line["response"] or {}).get("served_by") for line in lines]

    assert servers() == ["primary/gpt-x-mini"] * 2 + [None]
    Provider.objects.update(name="renamed")
    assert servers() == ["renamed/gpt-x-mini"] * 2 + [None]
    Provider.objects.all().delete()
    assert servers() == [None] * 3


def test_an_item_shows_what_was_asked_and_answered_every_attempt_and_its_cost() -> None:
    job = make_job(done=2, dead=0, running=0, waiting=0)
    item = Item.objects.get(job=job, position=2)
    told = make_client().get(f"/api/items/{item.public_id}").json()
    assert (told["job_id"], told["state"], told["cost_usd"]) == (job.public_id, "done", "0.000125000000")
    assert told["request"]["messages"][0]["content"].startswith("What is 2")
    assert told["answer"]["choices"][0]["message"]["content"] == "It is 14."
    assert [(run["attempt"], run["outcome"], run["decision"]) for run in told["runs"]] == [(1, "throttled", "retry"), (2, "ok", "done")]
    assert [exchange["status_code"] for run in told["runs"] for exchange in run["exchanges"]] == [429, 200]
    assert told["runs"][0]["exchanges"][0]["provider"] == "primary"
    assert [(charge["input_tokens"], charge["cost_usd"]) for charge in told["charges"]] == [(400, "0.000125000000")]


def test_an_item_shows_the_raw_answer_of_every_request_unless_it_is_huge() -> None:
    job = make_job(done=2, dead=0, running=0, waiting=0)
    item = Item.objects.get(job=job, position=2)
    refused = Exchange.objects.get(run_id__in=Run.objects.filter(item_id=item.id).values("id"), status_code=429)

    def answers() -> list[Any]:
        told = make_client().get(f"/api/items/{item.public_id}").json()
        found = [exchange["answer"] for run in told["runs"] for exchange in run["exchanges"]]
        assert found.pop() == told["answer"]
        return found

    for content, shown in ((b'{"error": "busy"}', {"error": "busy"}), (b"<h1>busy</h1>", "<h1>busy</h1>"), (b"x" * 1_000_001, None)):
        body = make_body(job.workspace_id, content)
        store_bodies([body])
        Exchange.objects.filter(id=refused.id).update(answer_body_id=body.id)
        assert answers() == [shown]


def test_an_item_whose_texts_have_gone_still_shows_what_happened() -> None:
    job = make_job(done=1, dead=0, running=0, waiting=0)
    Item.objects.update(request_body_id=b"\0" * 32, answer_body_id=b"\1" * 32)
    told = make_client().get(f"/api/items/{job.items.get().public_id}").json()
    assert (told["request"], told["answer"], len(told["runs"])) == (None, None, 1)


def test_a_job_is_paused_resumed_moved_and_cancelled() -> None:
    job, client = make_bare_job(prompts=("a", "b")), make_client()
    path = f"/api/jobs/{job.public_id}"
    assert post(client, f"{path}/pause").json()["status"] == "paused"
    assert post(client, f"{path}/lane", {"lane": "bulk"}).json()["lane"] == "bulk"
    assert post(client, f"{path}/resume").json()["status"] == "running"
    for _ in range(2):
        assert post(client, f"{path}/cancel").json()["status"] == "cancelling"
    answer = post(client, f"{path}/pause")
    assert (answer.status_code, answer.json()["code"], answer.headers["x-should-retry"]) == (409, "invalid_state", "false")


def test_what_failed_runs_again_as_the_next_revision() -> None:
    job = make_job(done=1, dead=2, running=0, waiting=0, status=JobStatus.COMPLETED, ended_at=timezone.now())
    client = make_client()
    told = post(client, f"/api/jobs/{job.public_id}/rerun").json()
    assert (told["status"], told["revision"], told["dead"], told["open"]) == ("running", 2, 0, 2)
    assert Item.objects.filter(job=job, state=ItemState.WAITING).count() == 2
    assert post(client, f"/api/jobs/{job.public_id}/rerun").json()["code"] == "nothing_failed"


@pytest.mark.parametrize("body", [None, [], "bulk", {}, {"lane": None}, {"lane": []}, {"lane": {}}, {"lane": "fast"}, {"lane": 1}])
def test_a_lane_that_is_none_is_refused(body: object) -> None:
    answer = post(make_client(), f"/api/jobs/{make_bare_job().public_id}/lane", body)
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")


@pytest.mark.parametrize("change", ["pause", "resume", "cancel", "rerun", "lane"])
def test_a_call_that_somebody_waits_for_is_seen_but_not_changed(change: str) -> None:
    job = make_bare_job(kind="single", lane="interactive")
    client = make_client()
    assert client.get(f"/api/jobs/{job.public_id}").json()["kind"] == "single"
    answer = post(client, f"/api/jobs/{job.public_id}/{change}", {"lane": "bulk"})
    assert (answer.status_code, answer.json()["code"]) == (409, "invalid_state")


def test_results_are_the_lines_of_what_has_ended() -> None:
    job = make_job(done=2, dead=1, running=1, waiting=1)
    answer = make_client().get(f"/api/jobs/{job.public_id}/results")
    assert [json.loads(line)["custom_id"] for line in b"".join(answer.streaming_content).splitlines()] == [
        f"question-{number}" for number in (1, 2, 3)
    ]


def test_the_workspace_tells_its_members_and_what_is_open() -> None:
    make_user("ada", acme=Role.OWNER)
    make_user("bob", acme=Role.VIEWER, others=Role.OWNER)
    make_job(done=2, dead=1, running=1, waiting=1)
    make_job(workspace=make_workspace("others"))
    told = make_client().get("/api/workspace").json()
    assert (told["name"], told["time_zone"]) == ("acme", "UTC")
    assert told["members"] == [{"username": "ada", "role": "owner"}, {"username": "bob", "role": "viewer"}]
    assert told["counts"] == {"members": 2, "live_keys": 1, "open_jobs": 1, "open_items": 2, "dead_items": 1}


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        *(("/api/jobs", Scope.JOBS), ("/api/jobs/batch_1", Scope.JOBS), ("/api/items/item_1", Scope.JOBS), ("/api/files", Scope.FILES)),
        *(
            ("/api/models", Scope.CHAT),
            ("/api/keys", Scope.ADMIN),
            ("/api/providers", Scope.PLATFORM),
            ("/api/targets/x", Scope.PLATFORM),
            ("/api/workspace", Scope.ADMIN),
        ),
    ],
)
def test_each_route_needs_its_scope(path: str, scope: Scope) -> None:
    others = tuple(other for other in Scope if other != scope)
    answer = make_client("acme", *others).get(path)
    assert (answer.status_code, answer.json()["code"]) == (403, "missing_scope")
    assert make_client("acme", scope).get(path).status_code in {200, 404}


@pytest.mark.parametrize("path", ["/api/nothing", "/api/jobs/batch_1/nothing", "/api/"])
def test_unknown_addresses_are_problems(path: str) -> None:
    answer = make_client().get(path)
    assert (answer.status_code, answer.headers["Content-Type"], answer.json()["code"]) == (404, "application/problem+json", "not_found")


@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", "/api/jobs"), ("PUT", "/api/keys"), ("PATCH", "/api/workspace"), ("POST", "/api/models")]
)
def test_wrong_methods_are_problems(method: str, path: str) -> None:
    answer = make_client().generic(method, path, b"{}", content_type="application/json")
    assert (answer.status_code, answer.headers["Content-Type"]) == (405, "application/problem+json")
    assert "GET" in answer.headers["Allow"]
