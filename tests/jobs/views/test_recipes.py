"""`/api/recipes`: declared, read by id, number and name, archived."""

import json
from typing import Any

import pytest
from django.test import Client

from tests.factories.accounts import make_client
from tests.factories.jobs import make_route

pytestmark = pytest.mark.django_db

ASK = {"model": "small", "question": "Why?"}


def send(client: Client, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    answer = client.generic(method, path, "" if body is None else json.dumps(body), content_type="application/json")
    return answer.status_code, answer.json()


def declare(client: Client, **values: Any) -> tuple[int, Any]:
    return send(client, "POST", "/api/recipes", {"name": "faq", "kind": "ask", "declared": ASK} | values)


def test_a_recipe_is_declared_read_and_archived() -> None:
    make_route()
    client = make_client()
    status, made = declare(client, description="Questions.")
    assert (status, made["name"], made["number"], made["kind"], made["declared"]) == (201, "faq", 1, "ask", ASK)
    assert [step["name"] for step in made["steps"]] == ["answer"]
    assert made["policy"] is None
    assert declare(client)[0] == 200
    status, second = declare(client, declared=ASK | {"cache": "on"})
    assert (status, second["number"], second["policy"]) == (201, 2, {"cache_seconds": 86400})
    assert [send(client, "GET", f"/api/recipes/{name}")[1]["number"] for name in ("faq", "faq@1", made["id"])] == [2, 1, 1]
    status, archived = send(client, "POST", "/api/recipes/faq/archive")
    assert (status, archived["number"], archived["archived_at"] is None) == (200, 2, False)
    assert send(client, "GET", "/api/recipes/faq")[1]["number"] == 1
    assert [recipe["number"] for recipe in send(client, "GET", "/api/recipes")[1]["data"]] == [2, 1]


@pytest.mark.parametrize(
    ("values", "param"),
    [
        ({"name": "Faq"}, "name"),
        ({"kind": "poem"}, "kind"),
        ({"declared": []}, "declared"),
        ({"declared": {"model": "small"}}, "question"),
        ({"kind": "steps", "declared": {"steps": [{"name": "a", "model": "small", "user": "{{ b }}"}]}}, "steps.a.user"),
    ],
)
def test_what_is_wrong_is_told_with_its_field(values: dict[str, Any], param: str) -> None:
    make_route()
    status, told = declare(make_client(), **values)
    assert status == 400
    assert param in json.dumps(told)
