"""The batch API over HTTP: exact shapes, cursors, scopes, and nothing of another workspace."""

import json
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client

from apps.accounts.actions import create_api_key
from apps.accounts.domain.keys import Scope
from apps.jobs.domain.lifecycle import ItemState, JobStatus
from apps.jobs.models import Item, Job
from tests.jobs.batches import CHAT, NOW, answer_all, end_item, input_line, jsonl, make_input_file, make_model, submit, validated
from tests.jobs.rows import make_workspace

pytestmark = pytest.mark.django_db


def client_of(workspace: str = "acme", *scopes: Scope) -> Client:
    key = create_api_key(workspace_id=make_workspace(workspace).id, name="test", scopes=scopes or tuple(Scope))
    return Client(headers={"Authorization": f"Bearer {key.secret}"})


def post(client: Client, path: str, body: object = None) -> Any:
    return client.post(path, data=json.dumps(body) if body is not None else b"", content_type="application/json")


def test_post_batches_answers_a_whole_batch_object() -> None:
    make_model()
    file = make_input_file(b"anything")
    request = {"input_file_id": file.public_id, "endpoint": CHAT, "completion_window": "24h", "metadata": {"run": "1"}}
    answer = post(client_of(), "/v1/batches", request)
    assert answer.status_code == 200
    batch = answer.json()
    job = Job.objects.get()
    assert batch == {
        "id": job.public_id,
        "object": "batch",
        "endpoint": CHAT,
        "model": None,
        "errors": None,
        "input_file_id": file.public_id,
        "completion_window": "24h",
        "status": "validating",
        "output_file_id": None,
        "error_file_id": None,
        "created_at": int(job.created_at.timestamp()),
        "in_progress_at": None,
        "expires_at": int(job.created_at.timestamp()) + 86400,
        "finalizing_at": None,
        "completed_at": None,
        "failed_at": None,
        "expired_at": None,
        "cancelling_at": None,
        "cancelled_at": None,
        "request_counts": {"total": 0, "completed": 0, "failed": 0},
        "usage": {
            "input_tokens": 0,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 0,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 0,
        },
        "metadata": {"run": "1"},
    }
    assert job.api_key_id is not None


@pytest.mark.parametrize(
    ("body", "param"),
    [({}, "input_file_id"), ([], "body"), ({"input_file_id": "file-1", "endpoint": "/v1/x"}, "endpoint")],
)
def test_post_batches_names_the_wrong_parameter(body: object, param: str) -> None:
    answer = post(client_of(), "/v1/batches", body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'"text"', b"[" * 3000, b'{"endpoint": NaN}', b'{"endpoint": "\\ud800"}'])
def test_post_batches_of_what_is_no_object_is_refused(body: bytes) -> None:
    answer = client_of().post("/v1/batches", data=body, content_type="application/json")
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("status", "word", "stamp"),
    [
        (JobStatus.RUNNING, "in_progress", "in_progress_at"),
        (JobStatus.PAUSED, "in_progress", "in_progress_at"),
        (JobStatus.FINISHING, "finalizing", "finalizing_at"),
        (JobStatus.COMPLETED, "completed", "completed_at"),
        (JobStatus.FAILED, "failed", "failed_at"),
        (JobStatus.EXPIRED, "expired", "expired_at"),
        (JobStatus.CANCELLING, "cancelling", "cancelling_at"),
        (JobStatus.CANCELLED, "cancelled", "cancelled_at"),
    ],
)
def test_get_batch_tells_states_in_the_words_of_the_api(status: JobStatus, word: str, stamp: str) -> None:
    job = submit(b"")
    ended_at = NOW if status in {JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.EXPIRED, JobStatus.CANCELLED} else None
    Job.objects.update(status=status, ended_at=ended_at, started_at=NOW, finishing_at=NOW, cancelling_at=NOW)
    batch = client_of().get(f"/v1/batches/{job.public_id}").json()
    assert (batch["status"], batch[stamp]) == (word, int(NOW.timestamp()))
    ends = {name: batch[name] for name in ("completed_at", "failed_at", "expired_at", "cancelled_at")}
    assert [name for name, value in ends.items() if value] == ([stamp] if ended_at else [])


def test_get_batch_lists_the_errors_of_a_refused_file() -> None:
    job = validated(b"oops\n")
    errors = client_of().get(f"/v1/batches/{job.public_id}").json()["errors"]
    assert errors["object"] == "list"
    assert [(error["line"], error["code"], error["param"]) for error in errors["data"]] == [(1, "invalid_json_line", None)]


def test_get_batches_pages_newest_first_and_sees_its_own_alone() -> None:
    jobs = [submit(b"") for _ in range(5)]
    for age, job in enumerate(jobs):
        Job.objects.filter(id=job.id).update(created_at=NOW - timedelta(minutes=age))
    client = client_of()
    seen: list[str] = []
    after: dict[str, str] = {}
    while True:
        page = client.get("/v1/batches", {"limit": 2} | after).json()
        seen += [batch["id"] for batch in page["data"]]
        assert (page["object"], page["first_id"], page["last_id"]) == ("list", page["data"][0]["id"], page["data"][-1]["id"])
        if not page["has_more"]:
            break
        after = {"after": page["last_id"]}
    assert seen == [job.public_id for job in jobs]
    foreign = client_of("others").get("/v1/batches").json()
    assert foreign == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "-5"}, {"limit": "1" * 5000}])
def test_get_batches_brings_any_limit_into_range(query: dict[str, str]) -> None:
    submit(b"")
    assert len(client_of().get("/v1/batches", query).json()["data"]) == 1


def test_get_batches_after_an_unknown_one_is_empty() -> None:
    submit(b"")
    assert client_of().get("/v1/batches", {"after": "nonsense"}).json()["data"] == []


def test_post_cancel_is_idempotent_and_refuses_what_has_ended_for_good() -> None:
    job = validated(jsonl([input_line("a")]))
    client = client_of()
    for _ in range(2):
        answer = post(client, f"/v1/batches/{job.public_id}/cancel")
        assert (answer.status_code, answer.json()["status"]) == (200, "cancelling")
    Job.objects.update(status=JobStatus.COMPLETED)
    answer = post(client, f"/v1/batches/{job.public_id}/cancel")
    assert (answer.status_code, answer.headers["x-should-retry"]) == (409, "false")
    assert answer.json()["error"]["code"] == "invalid_state"


def results(client: Client, job: Job, **query: str) -> list[dict[str, Any]]:
    answer = client.get(f"/v1/batches/{job.public_id}/results", query)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/x-ndjson")
    return [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]


def test_get_results_gives_what_has_ended_while_the_rest_runs() -> None:
    job = validated(jsonl(input_line(name) for name in "abcd"))
    first, second, third, _ = Item.objects.order_by("id")
    end_item(first, answer=b'{"n": 1}')
    end_item(third, state=ItemState.DEAD, status_code=429, error_message="slow down")
    client = client_of()
    lines = results(client, job)
    assert [(line["custom_id"], line["response"]["status_code"]) for line in lines] == [("a", 200), ("c", 429)]
    assert results(client, job, limit="1") == lines[:1]
    assert results(client, job, after=lines[0]["id"]) == lines[1:]
    end_item(second, answer=b"{}")
    answer_all(job)
    assert [line["custom_id"] for line in results(client, job)] == ["a", "b", "c", "d"]


def test_get_results_streams_under_asgi_as_well() -> None:
    job = validated(jsonl(input_line(name) for name in "ab"))
    answer_all(job)
    key = create_api_key(workspace_id=make_workspace().id, name="test")
    headers = {"Authorization": f"Bearer {key.secret}"}

    async def read() -> bytes:
        answer = await AsyncClient().get(f"/v1/batches/{job.public_id}/results", headers=headers)
        assert answer.status_code == 200, answer.content
        return b"".join([chunk async for chunk in answer.streaming_content])

    assert [json.loads(line)["custom_id"] for line in async_to_sync(read)().splitlines()] == ["a", "b"]


@pytest.mark.parametrize("query", [{"after": "nonsense"}, {"limit": "0"}, {"limit": "-1"}, {"limit": "1" * 5000}])
def test_get_results_names_a_wrong_parameter(query: dict[str, str]) -> None:
    job = validated(jsonl([input_line("a")]))
    answer = client_of().get(f"/v1/batches/{job.public_id}/results", query)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, next(iter(query)))


def test_pause_and_resume_over_the_native_api() -> None:
    job = validated(jsonl([input_line("a")]))
    client = client_of()
    answer = post(client, f"/api/jobs/{job.public_id}/pause")
    assert (answer.status_code, answer.json()["status"], answer.json()["id"]) == (200, "paused", job.public_id)
    assert client.get(f"/v1/batches/{job.public_id}").json()["status"] == "in_progress"
    assert post(client, f"/api/jobs/{job.public_id}/resume").json()["status"] == "running"
    Job.objects.update(status=JobStatus.FAILED)
    answer = post(client, f"/api/jobs/{job.public_id}/pause")
    assert (answer.status_code, answer.headers["Content-Type"]) == (409, "application/problem+json")
    assert answer.json()["code"] == "invalid_state"


ROUTES = [
    ("get", "/v1/batches/{id}"),
    ("post", "/v1/batches/{id}/cancel"),
    ("get", "/v1/batches/{id}/results"),
    ("post", "/api/jobs/{id}/pause"),
    ("post", "/api/jobs/{id}/resume"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_foreign_or_unknown_batch_is_not_found(method: str, path: str) -> None:
    job = validated(jsonl([input_line("a")]))
    for public_id in (job.public_id, "batch_" + "0" * 32, "nonsense"):
        assert getattr(client_of("others"), method)(path.format(id=public_id)).status_code == 404
    job.refresh_from_db()
    assert job.status == JobStatus.RUNNING


@pytest.mark.parametrize(("method", "path"), [*ROUTES, ("get", "/v1/batches"), ("post", "/v1/batches")])
def test_a_key_without_the_scope_is_refused(method: str, path: str) -> None:
    assert getattr(client_of("acme", Scope.FILES), method)(path.format(id="batch_" + "0" * 32)).status_code == 403
    assert getattr(Client(), method)(path.format(id="batch_" + "0" * 32)).status_code == 401
