"""`POST /v1/batches?dry_run=true` over HTTP and through the official package: a Batch that isn't there, with its estimate."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from openai import OpenAI
from pytest_django.live_server_helper import LiveServer

from apps.accounts.models import IdempotencyRecord
from apps.jobs.models import Job
from tests.factories.accounts import make_api_key, make_client
from tests.jobs.batches import CHAT, input_line, jsonl, make_input_file, make_model
from tests.jobs.rows import make_workspace

pytestmark = pytest.mark.django_db(transaction=True)
ADDRESS = "/v1/batches?dry_run=true"


def body_for(content: bytes, **values: Any) -> dict[str, Any]:
    make_model()
    return {"input_file_id": make_input_file(content).public_id, "endpoint": CHAT, "completion_window": "24h"} | values


def post(client: Client, body: object, address: str = ADDRESS, **headers: str) -> Any:
    return client.post(address, data=json.dumps(body), content_type="application/json", headers=headers)


def test_it_answers_a_batch_that_is_not_there_with_what_it_would_come_to() -> None:
    body = body_for(jsonl([input_line("a"), input_line("b")]), metadata={"run": "7", "max_cost_usd": "3"})
    answer = post(make_client(), body)
    assert answer.status_code == 200
    batch = answer.json()
    assert (batch["id"], batch["object"], batch["status"], batch["errors"]) == ("batch_dry_run", "batch", "validating", None)
    assert (batch["model"], batch["input_file_id"], batch["metadata"]) == ("small", body["input_file_id"], body["metadata"])
    assert batch["request_counts"] == {"total": 2, "completed": 0, "failed": 0}
    estimate = batch["estimate"]
    assert estimate["lines"] == {"looked_at": 2, "valid": 2, "invalid": 0, "total": 2, "is_whole": True}
    assert estimate["cost_usd"] == {"low": None, "likely": None, "high": None}
    assert estimate["basis"] == {"of": "limits", "calls": 0}
    assert [(one["id"], one["scope"], one["cap_usd"], one["fits"]) for one in estimate["budgets"]] == [(None, "job", "3", "surely")]
    assert estimate["fits"] is True
    assert estimate["finish"]["bound_by"] == "workers"
    assert Job.objects.count() == 0
    assert make_client().get("/v1/batches/batch_dry_run").status_code == 404


def test_wrong_lines_make_it_a_failed_batch() -> None:
    batch = post(make_client(), body_for(b"oops\n" + jsonl([input_line("a")]))).json()
    assert (batch["status"], batch["request_counts"]["total"]) == ("failed", 0)
    assert [(error["line"], error["code"]) for error in batch["errors"]["data"]] == [(1, "invalid_json_line")]
    assert batch["failed_at"] == batch["created_at"]
    assert batch["estimate"]["lines"] == {"looked_at": 2, "valid": 1, "invalid": 1, "total": 2, "is_whole": True}
    assert (batch["estimate"]["cost_usd"], batch["estimate"]["fits"], batch["estimate"]["budgets"]) == (None, None, [])


@pytest.mark.parametrize("values", [{"endpoint": "/v1/x"}, {"input_file_id": "file-1"}, {"metadata": {"first_model": "nobody"}}, {"x": 1}])
def test_a_wrong_request_is_refused_as_ever(values: dict[str, Any]) -> None:
    body = body_for(jsonl([input_line("a")])) | values
    real, dry = post(make_client(), body, "/v1/batches"), post(make_client(), body)
    assert (real.status_code, dry.status_code) == (400, 400)
    assert dry.json() == real.json()


def test_another_workspaces_file_is_not_found() -> None:
    answer = post(make_client("other"), body_for(jsonl([input_line("a")])))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "file_not_found")


@pytest.mark.parametrize("text", ["1", "True", "", "yes"])
def test_what_is_neither_true_nor_false_submits_nothing(text: str) -> None:
    answer = post(make_client(), body_for(jsonl([input_line("a")])), f"/v1/batches?dry_run={text}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "dry_run")
    assert Job.objects.count() == 0


@pytest.mark.parametrize("headers", [{"Idempotency-Key": "k"}, {"X-Stainless-Retry-Count": "0"}, {"X-Stainless-Retry-Count": "1"}])
def test_a_key_of_a_dry_run_is_free_for_the_batch_itself(headers: dict[str, str]) -> None:
    client, body = make_client(), body_for(jsonl([input_line("a")]))
    assert post(client, body, **headers).json()["id"] == "batch_dry_run"
    assert IdempotencyRecord.objects.count() == 0
    made = post(client, body, "/v1/batches?dry_run=false", **headers)
    assert (made.status_code, Job.objects.count()) == (200, 1)
    again = post(client, body, **headers)
    assert (again.json()["id"], "Idempotency-Replayed" in again.headers) == ("batch_dry_run", False)
    assert Job.objects.get().public_id == made.json()["id"]


@pytest.fixture
def sdk(live_server: LiveServer) -> Iterator[OpenAI]:
    make_model()
    _, secret = make_api_key(make_workspace())
    with OpenAI(base_url=f"{live_server.url}/v1", api_key=secret, _strict_response_validation=True) as client:
        yield client


def test_the_official_package_reads_it(sdk: OpenAI) -> None:
    file = sdk.files.create(file=("requests.jsonl", jsonl([input_line("a")])), purpose="batch")
    batch = sdk.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h", extra_query={"dry_run": "true"})
    assert (batch.id, batch.status, batch.input_file_id) == ("batch_dry_run", "validating", file.id)
    assert batch.request_counts is not None
    assert batch.request_counts.total == 1
    assert (batch.model_extra or {})["estimate"]["lines"]["valid"] == 1
    assert sdk.batches.list().data == []
