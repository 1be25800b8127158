"""A batch's life as the official SDK sees it, against a live server; the workers' parts are called by hand."""

import json
from collections.abc import Iterator

import openai
import pytest
from openai import OpenAI
from pytest_django.live_server_helper import LiveServer

from apps.accounts.actions import create_api_key
from apps.jobs.actions import close_job, finish_job, validate_job
from apps.jobs.domain.lifecycle import ItemState
from apps.jobs.models import BATCH_PREFIX, Item, Job
from apps.lib.ids import parse_public_id
from tests.jobs.batches import CHAT, answer_all, clock, end_item, input_line, jsonl, make_model
from tests.jobs.rows import make_workspace

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def client(live_server: LiveServer) -> Iterator[OpenAI]:
    make_model()
    key = create_api_key(workspace_id=make_workspace().id, name="sdk")
    with OpenAI(base_url=f"{live_server.url}/v1", api_key=key.secret, _strict_response_validation=True) as sdk:
        yield sdk


def submit(client: OpenAI, content: bytes, **values: object) -> Job:
    file = client.files.create(file=("requests.jsonl", content), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h", **values)
    assert batch.status == "validating"
    return Job.objects.get(id=parse_public_id(BATCH_PREFIX, batch.id))


def test_a_batch_from_upload_to_download(client: OpenAI) -> None:
    job = submit(client, jsonl(input_line(name) for name in "abc"), metadata={"priority": "bulk", "run": "7"})
    validate_job(job_id=job.id, clock=clock)
    batch = client.batches.retrieve(job.public_id)
    assert (batch.status, batch.model, batch.metadata) == ("in_progress", "small", {"priority": "bulk", "run": "7"})
    assert batch.request_counts is not None
    assert batch.request_counts.total == 3

    failing = Item.objects.get(job=job, custom_id="b")
    end_item(failing, answer=b'{"error": {"message": "too long"}}', state=ItemState.DEAD, status_code=400)
    partial = client.get(f"/batches/{job.public_id}/results", cast_to=str)
    assert [json.loads(line)["custom_id"] for line in partial.splitlines()] == ["b"]

    answer_all(job)
    finish_job(job_id=job.id, clock=clock)
    batch = client.batches.retrieve(job.public_id)
    assert (batch.status, batch.errors) == ("completed", None)
    output = [json.loads(line) for line in client.files.content(batch.output_file_id or "").text.splitlines()]
    errors = [json.loads(line) for line in client.files.content(batch.error_file_id or "").text.splitlines()]
    assert {line["custom_id"]: line["response"]["body"] for line in output} == {"a": {"echo": "a"}, "c": {"echo": "c"}}
    assert [(line["custom_id"], line["error"], line["response"]["status_code"]) for line in errors] == [("b", None, 400)]
    assert client.files.retrieve(batch.output_file_id or "").purpose == "batch_output"


def test_a_refused_file_tells_every_wrong_line(client: OpenAI) -> None:
    job = submit(client, b"oops\n" + jsonl([input_line("a", url="/v1/embeddings")]))
    validate_job(job_id=job.id, clock=clock)
    batch = client.batches.retrieve(job.public_id)
    assert batch.status == "failed"
    assert batch.errors is not None
    assert [(error.line, error.code) for error in batch.errors.data or []] == [(1, "invalid_json_line"), (2, "url_mismatch")]


def test_lists_and_cancels(client: OpenAI) -> None:
    jobs = [submit(client, jsonl([input_line("a")])) for _ in range(3)]
    assert [batch.id for batch in client.batches.list(limit=1)] == [job.public_id for job in reversed(jobs)]
    validate_job(job_id=jobs[0].id, clock=clock)
    for _ in range(2):
        assert client.batches.cancel(jobs[0].public_id).status == "cancelling"
    assert close_job(job_id=jobs[0].id) == 1
    finish_job(job_id=jobs[0].id, clock=clock)
    batch = client.batches.cancel(jobs[0].public_id)
    assert (batch.status, batch.output_file_id) == ("cancelled", None)
    assert batch.request_counts is not None
    assert (batch.request_counts.total, batch.request_counts.failed) == (1, 0)
    assert json.loads(client.files.content(batch.error_file_id or "").text)["error"]["code"] == "batch_cancelled"


def test_refusals_are_the_sdks_own_errors(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.batches.retrieve("batch_" + "0" * 32)
    with pytest.raises(openai.BadRequestError) as refused:
        client.batches.create(input_file_id="file-unknown", endpoint=CHAT, completion_window="24h")
    assert (refused.value.param, refused.value.code) == ("input_file_id", "file_not_found")
    job = submit(client, b"oops\n")
    validate_job(job_id=job.id, clock=clock)
    with pytest.raises(openai.ConflictError) as ended:
        client.batches.cancel(job.public_id)
    assert ended.value.request.headers["x-stainless-retry-count"] == "0"
