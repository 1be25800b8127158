"""/v1/models, in OpenAI's shapes."""

import pytest
from django.test import Client

from apps.accounts.domain.keys import Scope
from apps.providers.models import Model, Provider, Target
from apps.providers.queries import find_callable
from tests.factories.accounts import make_client
from tests.factories.jobs import make_route as make_priced_route
from tests.factories.providers import make_model, make_provider
from tests.jobs.calls.callers import make_callable, make_secret

pytestmark = pytest.mark.django_db


def client(*scopes: Scope) -> Client:
    return Client(headers={"Authorization": f"Bearer {make_secret('acme', *scopes)}"})


def test_models_lists_what_can_be_called_by_name() -> None:
    second, first = make_callable("small"), make_callable("acme/large")
    Model.objects.create(name="without-target")
    make_callable("switched-off")
    Model.objects.filter(name="switched-off").update(is_enabled=False)
    off = Provider.objects.create(name="off", base_url="http://127.0.0.1:9/v1", is_enabled=False)
    Target.objects.create(model=Model.objects.create(name="provider-off"), provider=off, upstream_model="x")
    assert client().get("/v1/models").json() == {
        "object": "list",
        "data": [
            {"id": model.name, "object": "model", "created": int(model.created_at.timestamp()), "owned_by": "aiplatform"}
            for model in (first, second)
        ],
    }


def test_a_model_is_found_by_its_name_with_slashes() -> None:
    make_callable("acme/large")
    assert client().get("/v1/models/acme/large").json()["id"] == "acme/large"


@pytest.mark.parametrize("name", ["nobody", "acme/nobody", "x" * 1000])
def test_an_unknown_model_is_not_there(name: str) -> None:
    answer = client().get(f"/v1/models/{name}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/small"])
def test_models_need_a_key_with_the_scope_chat(path: str) -> None:
    make_callable()
    assert Client().get(path).status_code == 401
    assert client(Scope.FILES).get(path).status_code == 403


def test_the_longest_timeout_is_that_of_the_targets_that_are_on() -> None:
    model = make_callable(timeout_seconds=60)
    slow = Provider.objects.create(name="slow", base_url="http://127.0.0.1:9/v1", total_timeout_seconds=500)
    target = Target.objects.create(model=model, provider=slow, upstream_model="x")
    found = find_callable("small")
    assert found
    assert found.longest_timeout_seconds == 500
    Target.objects.filter(id=target.id).update(is_enabled=False)
    found = find_callable("small")
    assert found
    assert found.longest_timeout_seconds == 60


def test_native_models_show_who_answers_at_which_prices() -> None:
    route = make_priced_route()
    backup = make_provider("backup")
    Target.objects.create(model=route.model, provider=backup, upstream_model="claude-y", position=1)
    make_model("nobody-answers")
    body = make_client().get("/api/models").json()
    (model,) = body["data"]
    assert (model["name"], model["max_output_tokens"], body["next_cursor"]) == ("small", 4096, None)
    first, second = model["targets"]
    assert (first["provider"], first["upstream_model"]) == ("primary", "gpt-x-mini")
    assert first["price"]["input_usd_per_million"] == "0.150000000000"
    assert first["price"]["cached_input_usd_per_million"] is None
    assert (second["provider"], second["price"]) == ("backup", None)


def test_native_models_are_paged_by_name() -> None:
    provider = make_provider()
    for name in ("c", "a", "b"):
        make_model(name, provider)
    client = make_client()
    first = client.get("/api/models?limit=2").json()
    rest = client.get("/api/models", {"limit": 2, "cursor": first["next_cursor"]}).json()
    assert [model["name"] for model in first["data"] + rest["data"]] == ["a", "b", "c"]
