"""Cache, contract and first model as users have them: the official SDK, batches to their files, single calls through real processes."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import openai
import pytest
from openai import OpenAI
from pytest_django.live_server_helper import LiveServer

from apps.jobs.actions import finish_job, run_items, validate_job
from apps.jobs.domain.lifecycle import ItemState
from apps.jobs.models import BATCH_PREFIX, ITEM_PREFIX, Item, Job
from apps.lib.ids import parse_public_id
from apps.ops.queries.invariants import check_invariants
from apps.providers.models import Model, Provider, Target
from apps.spend.models import Charge
from tests.factories.accounts import make_client
from tests.jobs.batches import CHAT, clock, input_line, jsonl
from tests.jobs.calls.callers import make_callable, make_secret
from tests.journeys.live import Live, running_parts
from tests.simulated import Simulator

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]
SCHEMA = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
FORMAT: Any = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}


def say(text: str, repair: str = "") -> str:
    return f"[[sim say={quote(text)}" + (f" repair={quote(repair)}]]" if repair else "]]")


def line(custom_id: str, prompt: str, **body: Any) -> dict[str, Any]:
    return input_line(custom_id, body={"model": "small", "messages": [{"role": "user", "content": prompt}]} | body)


@pytest.fixture
def client(live_server: LiveServer, simulator: Simulator) -> Iterator[OpenAI]:
    provider = Provider.objects.create(name="simulated", base_url=simulator.base_url)
    for name in ("small", "tiny"):
        Target.objects.create(model=Model.objects.create(name=name), provider=provider, upstream_model=name)
    with OpenAI(base_url=f"{live_server.url}/v1", api_key=make_secret(), max_retries=0, _strict_response_validation=True) as sdk:
        yield sdk


def submit(client: OpenAI, lines: list[dict[str, Any]], **metadata: str) -> Job:
    file = client.files.create(file=("requests.jsonl", jsonl(lines)), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h", metadata=metadata)
    job = Job.objects.get(id=parse_public_id(BATCH_PREFIX, batch.id))
    validate_job(job_id=job.id, clock=clock)
    return job


def run(job: Job) -> None:
    run_items(lane="default", job_id=None, replaces=None, is_isolating=False, clock=lambda: datetime.now(UTC))
    finish_job(job_id=job.id, clock=clock)
    job.refresh_from_db()


def lines_of(client: OpenAI, file_id: str | None) -> dict[str, Any]:
    found = [json.loads(text) for text in client.files.content(file_id or "").text.splitlines()]
    return {entry["custom_id"]: entry for entry in found}


def test_a_batch_with_everything(client: OpenAI) -> None:
    lines = [
        line("good", say('{"n":1}'), response_format=FORMAT),
        line("again", say('{"n":1}'), response_format=FORMAT, user="ada"),
        line("mended", say('{"n":"x"}', '{"n":2}'), response_format=FORMAT),
        line("wrong", say('{"n":"x"}'), response_format=FORMAT),
    ]
    job = submit(client, lines, cache="600", output_contract="on", first_model="tiny", accept_if="schema", failover="off")
    run(job)
    batch = client.batches.retrieve(job.public_id)
    assert batch.status == "completed"
    assert batch.request_counts is not None
    assert (batch.request_counts.completed, batch.request_counts.failed) == (3, 1)
    output, errors = lines_of(client, batch.output_file_id), lines_of(client, batch.error_file_id)
    assert [output[name]["response"].get("cache") for name in ("good", "again")].count("hit") == 1
    contents = {name: entry["response"]["body"]["choices"][0]["message"]["content"] for name, entry in output.items()}
    assert contents == {"good": '{"n":1}', "again": '{"n":1}', "mended": '{"n":2}'}
    # Who served each answer: the first model's provider, the model's own; nobody for what came from the cache.
    served = {name: (entry["response"].get("cache"), entry["response"].get("served_by")) for name, entry in output.items()}
    assert served.pop("mended") == (None, "simulated/small")
    assert set(served.values()) == {(None, "simulated/tiny"), ("hit", None)}
    told = {item["custom_id"]: item["served_by"] for item in make_client().get(f"/api/jobs/{job.public_id}/items").json()["data"]}
    assert told == {name: entry["response"].get("served_by") for name, entry in output.items()} | {"wrong": None}
    assert errors["wrong"]["error"]["code"] == "output_contract"
    assert "$.n" in errors["wrong"]["error"]["message"]
    # Of three that were asked, one was accepted; the others were asked of the model itself, and once more for a repair.
    assert (job.cache_hits, job.first_asked, job.first_accepted, job.repaired) == (1, 3, 1, 1)
    seqs = Charge.objects.filter(item_id=Item.objects.get(custom_id="mended").id).order_by("seq").values_list("seq", flat=True)
    assert list(seqs) == [0, 1, 2]
    told = make_client().get(f"/api/jobs/{job.public_id}").json()
    assert (told["cache_hits"], told["first_accepted_share"], told["repaired"]) == (1, 0.3333, 1)
    assert told["policy"]["first_model"] == "tiny"
    item = make_client().get(f"/api/items/{Item.objects.get(custom_id='mended').public_id}").json()
    assert (item["answered_by"], item["served_by"]) == ("repair", "simulated/small")
    assert [exchange["upstream_model"] for exchange in item["runs"][0]["exchanges"]] == ["tiny", "small", "small"]


@pytest.mark.parametrize(
    ("metadata", "param"),
    [
        ({"cache": "soon"}, "metadata.cache"),
        ({"output_contract": "1"}, "metadata.output_contract"),
        ({"first_model": "unknown"}, "metadata.first_model"),
        ({"accept_if": "schema"}, "metadata.accept_if"),
        ({"failover": "maybe"}, "metadata.failover"),
    ],
)
def test_what_makes_no_sense_is_answered_with_its_name(client: OpenAI, metadata: dict[str, str], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        submit(client, [line("a", "hi")], **metadata)
    assert caught.value.param == param


def test_lines_whose_contract_cannot_be_kept_are_told(client: OpenAI) -> None:
    hostile = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"$ref": "http://127.0.0.1:1/"}}}
    slow = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"pattern": "(?=(a+)+$)"}}}
    lines = [
        line("a", "hi"),
        line("b", "hi", response_format=hostile),
        line("c", "hi", response_format=slow),
        line("d", "hi", response_format=FORMAT),
    ]
    job = submit(client, lines, output_contract="on")
    errors = client.batches.retrieve(job.public_id).errors
    assert errors is not None
    assert [(error.line, error.param) for error in errors.data or []] == [
        (1, "body.response_format"), (2, "body.response_format.json_schema.schema"), (3, "body.response_format.json_schema.schema"),
    ]  # fmt: skip


def test_a_first_model_must_be_another_one(client: OpenAI) -> None:
    job = submit(client, [line("a", "hi")], first_model="small")
    errors = client.batches.retrieve(job.public_id).errors
    assert errors is not None
    assert [(error.line, error.param) for error in errors.data or []] == [(1, "body.model")]


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    with running_parts(tmp_path, "web", "exec-interactive") as found:
        for name in ("small", "tiny"):
            make_callable(name, base_url=found.provider_url)
        yield found


def test_single_calls(live: Live) -> None:
    with OpenAI(base_url=f"{live.url}/v1", api_key=make_secret(), max_retries=0) as client:

        def ask(prompt: str, **headers: str) -> Any:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            given: dict[str, Any] = {"response_format": FORMAT} if "X_Output_Contract" in headers else {}
            messages: list[Any] = [{"role": "user", "content": prompt}]
            return client.chat.completions.with_raw_response.create(model="small", messages=messages, extra_headers=named, **given)

        assert "x-cache" not in ask("hi").headers
        assert [ask("hi", X_Cache="on").headers["x-cache"] for _ in range(2)] == ["miss", "hit"]
        hit = ask("hi", X_Cache="60")
        item = Item.objects.get(id=parse_public_id(ITEM_PREFIX, hit.headers["x-item-id"]))
        assert (item.answered_by, item.cost_usd, hit.parse().object) == ("cache", 0, "chat.completion")
        mended = ask(say('{"n":"x"}', '{"n":2}'), X_Output_Contract="on").parse()
        assert mended.choices[0].message.content == '{"n":2}'
        with pytest.raises(openai.APIStatusError) as caught:
            ask(say("no"), X_Output_Contract="on")
        assert (caught.value.status_code, caught.value.code) == (502, "output_contract")
        with pytest.raises(openai.BadRequestError) as refused:
            ask("hi", X_Cache="soon")
        assert refused.value.param == "X-Cache"
        with pytest.raises(openai.BadRequestError) as refused:
            ask("hi", X_First_Model="unknown")
        assert refused.value.param == "X-First-Model"
        first = ask("hello", X_First_Model="tiny", X_Accept_If="not_refused")
        item = Item.objects.get(id=parse_public_id(ITEM_PREFIX, first.headers["x-item-id"]))
        assert (item.answered_by, item.state) == ("first_model", ItemState.DONE)
        second = ask("[[sim refuse]]", X_First_Model="tiny")
        item = Item.objects.get(id=parse_public_id(ITEM_PREFIX, second.headers["x-item-id"]))
        assert (item.answered_by, item.paid_calls) == ("model", 2)


def test_an_edited_file_runs_what_was_edited(client: OpenAI, simulator: Simulator) -> None:
    lines = [line(f"line {n}", f"question {n}") for n in range(40)]
    first = submit(client, lines)
    run(first)
    edited = [*lines[:7], line("line 7", "another question"), *lines[8:39], line("line 40", "question 40")]
    second = submit(client, edited, reuse=first.public_id)
    run(second)
    assert simulator.calls()["total"] == 42
    assert Charge.objects.filter(job_id=second.id).count() == 2
    before, after = (lines_of(client, client.batches.retrieve(job.public_id).output_file_id) for job in (first, second))
    new = {"line 7", "line 40"}
    assert {name for name, entry in after.items() if "reused_from" not in entry["response"]} == new
    assert all(after[name]["response"]["body"] == before[name]["response"]["body"] for name in after if name not in new)
    assert all(after[name]["response"]["reused_from"] == before[name]["id"] for name in after if name not in new)
    api = make_client()
    job = api.get(f"/api/jobs/{second.public_id}").json()
    assert (job["reuses"], job["reused"], job["done"]) == (first.public_id, 38, 40)
    item = api.get(f"/api/jobs/{second.public_id}/items").json()["data"][0]
    assert (item["answered_by"], item["cost_usd"]) == ("reuse", "0.000000000000")
    assert api.get(f"/api/items/{item['reused_from']}").json()["job_id"] == first.public_id
    assert not [finding for finding in check_invariants(since=first.created_at, at_rest=True) if finding.examples]
