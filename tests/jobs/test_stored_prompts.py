"""Requests that name a stored prompt become the request that its version makes, and keep which one that was."""

import asyncio
import json
from typing import Any

import orjson
import pytest
from django.conf import LazySettings
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.jobs.actions.preview_upload import Whose, preview_batch
from apps.jobs.domain.lifecycle import JobStatus
from apps.jobs.domain.prompt_use import PromptUseRefusedError, expand_prompt
from apps.jobs.models import Item, Job
from apps.prompts.actions import archive_version
from apps.prompts.domain.content import PromptContent, PublishedPrompt
from apps.traces.queries import read_bodies
from tests.factories.accounts import make_client, make_workspace
from tests.factories.files import make_file
from tests.factories.prompts import make_prompt, make_version
from tests.jobs.batches import NOW, input_line, jsonl, validated
from tests.jobs.calls.callers import ANSWER, end, make_callable, make_secret, next_item, post

pytestmark = pytest.mark.django_db(transaction=True)

LETTER: dict[str, Any] = {
    "system": "Answer in a {{ tone }} tone.",
    "user": "<letter>\n{{ letter }}\n</letter>",
    "variables": [{"name": "letter"}, {"name": "tone", "type": "choice", "choices": ["dry", "warm"], "default": "warm"}],
    "model": "small",
    "parameters": {"temperature": 0},
    "output_schema": {"type": "object"},
}


def line(number: int, prompt: Any, **body: Any) -> bytes:
    return input_line(f"line-{number}", body={"prompt": prompt} | body)


def named(**more: Any) -> dict[str, Any]:
    return {"id": "letter", "variables": {"letter": "Dear </letter> all"}} | more


def asked(item: Item) -> dict[str, Any]:
    found = read_bodies([item.request_body_id])[item.request_body_id]
    return dict(orjson.loads(found))


@pytest.fixture
def _letter() -> None:
    make_callable("small")
    make_callable("large")
    make_version(make_prompt(), **LETTER)


@pytest.mark.usefixtures("_letter")
def test_lines_of_a_batch_are_expanded_and_keep_their_version() -> None:
    lines = [
        line(1, named()),
        line(2, named(version="1"), model="large", temperature=1, messages=[{"role": "user", "content": "Briefly."}]),
        line(3, named(variables={"letter": "hi", "tone": "dry"}), metadata={"prompt_version": "made-up"}),
        input_line("line-4", body={"model": "small", "messages": [{"role": "user", "content": "plain"}]}),
    ]
    job = validated(jsonl(lines))
    items = list(Item.objects.filter(job=job).order_by("position"))
    assert (job.status, [item.prompt_version for item in items]) == (JobStatus.RUNNING, ["letter@1"] * 3 + [""])
    first, second, third, _ = map(asked, items)
    assert first == {
        "model": "small",
        "temperature": 0,
        "response_format": {"type": "json_schema", "json_schema": {"name": "letter", "schema": {"type": "object"}}},
        "messages": [
            {"role": "system", "content": "Answer in a warm tone."},
            {"role": "user", "content": "<letter>\nDear &lt;/letter> all\n</letter>"},
        ],
    }
    assert (second["model"], second["temperature"], second["messages"][-1]["content"]) == ("large", 1, "Briefly.")
    assert third["messages"][0]["content"] == "Answer in a dry tone."
    told = make_client().get(f"/api/jobs/{job.public_id}/items", {"prompt_version": "letter@1"}).json()
    assert len(told["data"]) == 3


@pytest.mark.usefixtures("_letter")
def test_what_is_wrong_with_a_line_is_told_by_its_line_and_place() -> None:
    make_version(make_prompt(name="empty"), is_published=False)
    make_version(make_prompt(name="modelless"), user="hi")
    make_version(make_prompt(make_workspace("globex"), name="theirs"), user="secret")
    cases = [
        ("letter", "invalid_type", "body.prompt"),
        ({"variables": {}}, "missing_required_parameter", "body.prompt.id"),
        ({"id": "theirs"}, "prompt_not_found", "body.prompt.id"),
        ({"id": "empty"}, "prompt_not_found", "body.prompt.id"),
        ({"id": "empty", "version": 1}, "prompt_not_found", "body.prompt.version"),
        (named(version=2), "prompt_not_found", "body.prompt.version"),
        (named(version="latest"), "invalid_value", "body.prompt.version"),
        (named(version=True), "invalid_value", "body.prompt.version"),
        (named(variable={}), "unknown_parameter", "body.prompt"),
        (named(variables={}), "invalid_value", "body.prompt.variables.letter"),
        (named(variables={"letter": 3}), "invalid_value", "body.prompt.variables.letter"),
        (named(variables=[]), "invalid_value", "body.prompt.variables"),
        ({"id": "modelless"}, "missing_required_parameter", "body.model"),
    ]
    job = validated(jsonl([line(1, named()), *(line(number, prompt) for number, (prompt, _, _) in enumerate(cases, 2))]))
    assert job.status == JobStatus.FAILED
    found = [(error["line"], error["code"], error["param"]) for error in job.errors]
    assert found == [(number, code, param) for number, (_, code, param) in enumerate(cases, 2)]
    assert job.errors[0]["message"].startswith("prompt must be an object")


@pytest.mark.usefixtures("_letter")
def test_no_line_costs_a_query() -> None:
    counts = []
    for lines in (2, 200):
        with CaptureQueriesContext(connection) as captured:
            job = validated(jsonl([line(number, named(variables={"letter": str(number)})) for number in range(lines)]))
        assert job.total == lines
        counts.append(len([one for one in captured if "prompts_" in one["sql"]]))
    assert counts == [3, 3]


@pytest.mark.usefixtures("_letter")
def test_short_lines_can_not_store_more_than_a_file_could_bring(settings: LazySettings) -> None:
    make_version(make_prompt(name="long"), user="word " * 2_000, model="small")
    settings.MAX_FILE_BYTES = 100_000
    job = validated(jsonl([line(number, {"id": "long"}) for number in range(20)]))
    assert (job.status, job.errors[0]["code"]) == (JobStatus.FAILED, "file_too_large")
    settings.MAX_LINE_BYTES = 5_000
    job = validated(jsonl([line(1, {"id": "long"})]))
    assert [(error["code"], error["param"]) for error in job.errors] == [("request_too_large", "body.prompt")]


@pytest.mark.usefixtures("_letter")
def test_a_preview_shows_and_counts_the_whole_request() -> None:
    workspace = make_workspace()
    file = make_file(jsonl([line(1, named())]), workspace=workspace)
    preview = preview_batch(file_id=file.id, now=NOW, whose=Whose(workspace.id))
    assert (preview.errors, preview.requests) == ([], 1)
    assert "Dear &lt;/letter> all" in preview.samples[0]["text"]


def test_a_prompt_that_makes_no_json_is_refused() -> None:
    schema: dict[str, Any] = {}
    for _ in range(252):
        schema = {"a": schema}
    prompt = PublishedPrompt("deep", 1, PromptContent(user="a", output_schema=schema))
    with pytest.raises(PromptUseRefusedError, match="can't be written as JSON") as refused:
        expand_prompt({"prompt": {"id": "deep"}}, find=lambda _name, _number: prompt, most_bytes=1_000_000)
    assert refused.value.param == "prompt"


async def call(secret: str, body: dict[str, Any], **headers: str) -> tuple[Any, Item]:
    asking = asyncio.create_task(post(secret, body, **headers))
    item = await next_item()
    await end(item)
    return await asking, item


@pytest.mark.usefixtures("_letter")
def test_a_single_call_is_expanded_as_well() -> None:
    secret = make_secret()

    async def ask() -> tuple[Any, Item]:
        return await call(secret, {"prompt": named()}, X_Prompt_Version="said")

    answer, item = asyncio.run(ask())
    assert (answer.status_code, answer.content) == (200, ANSWER)
    assert (item.prompt_version, asked(item)["messages"][0]["content"]) == ("letter@1", "Answer in a warm tone.")


@pytest.mark.usefixtures("_letter")
@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"prompt": "letter"}, "invalid_type", "prompt"),
        ({"prompt": {"id": "none"}}, "prompt_not_found", "prompt.id"),
        ({"prompt": {"id": "letter", "variables": {"letter": "a", "tone": "loud"}}}, "invalid_value", "prompt.variables.tone"),
        ({"prompt": {"id": "letter", "variables": {"letter": "a"}}, "messages": "b"}, "invalid_type", "messages"),
        ({"prompt": {"id": "letter", "variables": {"letter": "a"}}, "messages": ["b"]}, "invalid_type", "messages"),
    ],
)
def test_a_single_call_is_refused_by_its_place(body: dict[str, Any], code: str, param: str) -> None:
    answer = asyncio.run(post(make_secret(), body))
    error = json.loads(answer.content)["error"]
    assert (answer.status_code, error["code"], error["param"]) == (400, code, param)
    assert not Job.objects.exists()


@pytest.mark.usefixtures("_letter")
def test_a_repetition_gets_the_first_answer_whatever_is_published_meanwhile() -> None:
    secret, body = make_secret(), {"prompt": named()}

    async def first() -> tuple[Any, Item]:
        return await call(secret, body, Idempotency_Key="one")

    answer, item = asyncio.run(first())
    make_version(item.workspace.prompts.get(), **LETTER | {"system": "Be {{ tone }}."})
    again = asyncio.run(post(secret, body, Idempotency_Key="one"))
    assert (again.status_code, again.headers["X-Item-Id"]) == (200, answer.headers["X-Item-Id"])
    assert (Item.objects.count(), item.prompt_version) == (1, "letter@1")
    other = asyncio.run(post(secret, {"prompt": named(version=2)}, Idempotency_Key="one"))
    assert (other.status_code, Item.objects.count()) == (422, 1)


@pytest.mark.usefixtures("_letter")
@pytest.mark.parametrize("change", ["archived", "other variables", "no model"])
def test_a_repetition_gets_the_first_answer_even_if_its_prompt_would_be_refused_now(change: str) -> None:
    secret, body = make_secret(), {"prompt": named()}

    async def first() -> tuple[Any, Item]:
        return await call(secret, body, Idempotency_Key="one", X_Cache="on")

    answer, item = asyncio.run(first())
    prompt = item.workspace.prompts.get()
    if change == "archived":
        archive_version(workspace_id=prompt.workspace_id, prompt_id=prompt.id, number=1, now=NOW)
    elif change == "no model":
        make_version(prompt, **LETTER | {"model": ""})
    else:
        make_version(prompt, user="{{ other }}", variables=[{"name": "other"}], model="small")
    again = asyncio.run(post(secret, body, Idempotency_Key="one", X_Cache="on"))
    assert (again.status_code, again.content, again.headers["Idempotency-Replayed"]) == (200, ANSWER, "true")
    assert [again.headers[name] for name in ("X-Item-Id", "X-Cache")] == [answer.headers[name] for name in ("X-Item-Id", "X-Cache")]
    for key in ("two", "a b"):
        refused = asyncio.run(post(secret, body, Idempotency_Key=key))
        param = json.loads(refused.content)["error"]["param"]
        assert (refused.status_code, param in ("prompt.id", "prompt.variables.letter", "model")) == (400, True)
    assert Item.objects.count() == 1
