"""`/api/prompts`: made, drafted, published, rolled back, read."""

import json
from typing import Any

import pytest
from django.test import Client

from tests.factories.accounts import make_client
from tests.factories.prompts import make_prompt, make_version
from tests.factories.providers import make_model, make_provider

pytestmark = pytest.mark.django_db

DRAFT: dict[str, Any] = {
    "system": "Be brief.\n",
    "user": "Say {{ what }}",
    "variables": [{"name": "what", "type": "text", "required": True}],
    "model": "small",
    "parameters": {"temperature": 0.5},
    "output_schema": None,
    "note": "first",
}


def nested(levels: int) -> Any:
    value: Any = {}
    for _ in range(levels):
        value = {"a": value}
    return value


def send(client: Client, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    answer = client.generic(method, path, "" if body is None else json.dumps(body), content_type="application/json")
    return answer.status_code, answer.json()


def test_a_prompt_is_made_drafted_published_and_rolled_back() -> None:
    make_model("small", make_provider())
    client = make_client()
    status, made = send(client, "POST", "/api/prompts", {"name": "letter", "description": "Answers."})
    assert (status, made["name"], made["current_version"]) == (201, "letter", None)
    assert send(client, "POST", "/api/prompts", {"name": "letter"})[0] == 409
    assert send(client, "GET", "/api/prompts/letter/draft")[0] == 404
    status, draft = send(client, "PUT", "/api/prompts/letter/draft", DRAFT)
    assert (status, {name: draft[name] for name in DRAFT}) == (200, DRAFT)
    assert (draft["version"], draft["state"], send(client, "GET", "/api/prompts/letter/draft")[1]) == (1, "draft", draft)
    status, published = send(client, "POST", f"/api/prompts/{made['id']}/publish", {})
    assert (status, published["state"], published["version"]) == (200, "published", 1)
    assert send(client, "POST", "/api/prompts/letter/publish", {})[1]["code"] == "no_draft"
    send(client, "PUT", "/api/prompts/letter/draft", {"user": "Hello"})
    send(client, "POST", "/api/prompts/letter/publish", {"version": 2})
    assert send(client, "GET", "/api/prompts/letter")[1]["current_version"] == 2
    send(client, "POST", "/api/prompts/letter/publish", {"version": 1})
    assert send(client, "GET", "/api/prompts/letter")[1]["current_version"] == 1
    status, archived = send(client, "POST", "/api/prompts/letter/archive", {"version": 2})
    assert (status, archived["state"], send(client, "GET", "/api/prompts/letter")[1]["current_version"]) == (200, "archived", 1)
    assert send(client, "POST", "/api/prompts/letter/archive", {})[0] == 400
    assert send(client, "POST", "/api/prompts/letter/archive", {"version": 9})[0] == 404
    told = send(client, "GET", "/api/prompts/letter/versions?limit=1")[1]
    assert [one["version"] for one in told["data"]] == [2]
    told = send(client, "GET", f"/api/prompts/letter/versions?limit=1&cursor={told['next_cursor']}")[1]
    assert ([one["user"] for one in told["data"]], told["next_cursor"]) == (["Say {{ what }}"], None)
    assert [one["name"] for one in send(client, "GET", "/api/prompts")[1]["data"]] == ["letter"]


def test_a_schema_comes_back_in_the_order_that_it_was_sent_in() -> None:
    make_prompt()
    schema = {"type": "object", "properties": {"zeta": {"type": "string"}, "a": {}, "mid": {}}}
    parameters = {"top_p": 1, "seed": 3, "max_tokens": 5}
    sent = {"user": "Hello", "output_schema": schema, "parameters": parameters}
    send(make_client(), "PUT", "/api/prompts/letter/draft", sent)
    told = send(make_client(), "GET", "/api/prompts/letter/draft")[1]
    assert json.dumps([told["output_schema"], told["parameters"]]) == json.dumps([schema, parameters])
    assert send(make_client(), "PUT", "/api/prompts/letter/draft", {"user": "Hello"})[1]["output_schema"] is None


@pytest.mark.parametrize(
    ("draft", "param", "words"),
    [
        ({}, "user", "A version says something"),
        ({"user": "{{ a }}"}, "variables", "user uses {{ a }}, and no variable of that name is declared"),
        ({"user": "a", "variables": [{"name": "b"}]}, "variables", "b is declared"),
        ({"user": "a", "parameters": {"stream": True}}, "parameters", "'stream' is no parameter"),
        ({"user": 3}, "user", ""),
        ({"user": "a", "output_schema": nested(101)}, "output_schema", "nested too deeply: 100 levels"),
        ({"user": "a", "parameters": {"logit_bias": nested(100)}}, "parameters", "nested too deeply"),
    ],
)
def test_a_draft_that_can_not_be_used_is_refused(draft: dict[str, Any], param: str, words: str) -> None:
    make_prompt()
    status, told = send(make_client(), "PUT", "/api/prompts/letter/draft", draft)
    assert (status, told["param"]) == (400, param)
    assert words in told["detail"]


def test_a_version_whose_model_is_not_there_is_not_published() -> None:
    make_version(user="a", model="gone", is_published=False)
    status, told = send(make_client(), "POST", "/api/prompts/letter/publish", {})
    assert (status, told["code"], told["param"]) == (400, "model_not_found", "model")
