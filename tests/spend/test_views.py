"""/api/budgets: what a workspace may spend, for keys of the scope spend; changing wants admin as well."""

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from apps.accounts.domain.keys import Scope
from apps.accounts.models import AuditEntry
from apps.lib.ids import public_id
from apps.spend.models import Budget
from tests.factories.accounts import make_api_key, make_client, make_workspace
from tests.jobs.rows import make_job
from tests.spend.purses import MODEL, claim, make_budget

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    return make_client("acme")


def create(client: Client, **values: Any) -> Any:
    body = {"scope": "workspace", "period": "month", "cap_usd": "25"} | values
    return client.post("/api/budgets", {name: value for name, value in body.items() if value is not None}, content_type="application/json")


def test_a_budget_is_made_shown_and_changed(client: Client) -> None:
    made = create(client, scope="feature", name="search")
    assert made.status_code == 201
    body = made.json()
    assert (body["scope"], body["name"], body["period"], body["cap_usd"], body["hard"]) == ("feature", "search", "month", "25", True)
    assert (body["spent_usd"], body["reserved_usd"], body["room_usd"]) == ("0", "0", "25")
    changed = client.patch(f"/api/budgets/{body['id']}", {"cap_usd": "30.5", "hard": False}, content_type="application/json").json()
    assert (changed["cap_usd"], changed["hard"], changed["room_usd"]) == ("30.5", False, "30.5")
    topped = client.post(f"/api/budgets/{body['id']}/top_up", {"amount_usd": "4.5"}, content_type="application/json").json()
    assert (topped["cap_usd"], topped["topped_up_usd"], topped["room_usd"]) == ("30.5", "4.5", "35")
    assert [row["id"] for row in client.get("/api/budgets").json()["data"]] == [body["id"]]
    assert list(AuditEntry.objects.filter(object_type="budget").order_by("id").values_list("verb", flat=True)) == [
        "added", "changed", "topped up",
    ]  # fmt: skip


def test_asked_for_again_the_same_budget_is_changed(client: Client) -> None:
    first = create(client)
    second = create(client, cap_usd="40")
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json()["id"] == first.json()["id"]
    assert Budget.objects.get().cap_usd == Decimal(40)


def test_what_is_reserved_and_left_is_told(client: Client) -> None:
    budget = make_budget("workspace", "10", workspace=make_workspace())
    make_job(prompts=["a", "b"], model_id=MODEL)
    claim()
    shown = client.get(f"/api/budgets/{budget.public_id}").json()
    assert (shown["reserved_usd"], shown["spent_usd"], shown["room_usd"]) == ("2", "0", "8")


@pytest.mark.parametrize(
    ("values", "param"),
    [
        ({"scope": "platform"}, "scope"),
        ({"period": "week"}, "period"),
        ({"cap_usd": 25}, "cap_usd"),
        ({"cap_usd": "-1"}, "cap_usd"),
        ({"cap_usd": "NaN"}, "cap_usd"),
        ({"cap_usd": None}, "cap_usd"),
        ({"name": "acme"}, "name"),
        ({"scope": "user"}, "name"),
        ({"scope": "api_key", "name": "nightly"}, "name"),
        ({"scope": "api_key", "name": "key_" + "0" * 32}, "api_key"),
        ({"scope": "job", "name": "x"}, "name"),
    ],
)
def test_a_budget_that_makes_no_sense_is_refused_by_name(client: Client, values: dict[str, Any], param: str) -> None:
    answer = create(client, **values)
    assert (answer.status_code, answer.json().get("param")) == (400, param)
    assert not Budget.objects.exists()


def test_a_key_of_another_workspace_cannot_be_bounded(client: Client) -> None:
    theirs, _ = make_api_key(make_workspace("theirs"))
    assert create(client, scope="api_key", name=public_id("key_", theirs.id)).status_code == 400


def test_reading_wants_spend_and_changing_admin_as_well() -> None:
    reader, nobody = make_client("acme", Scope.SPEND), make_client("acme", Scope.CHAT, Scope.ADMIN)
    budget = make_budget("workspace", workspace=make_workspace())
    assert reader.get("/api/budgets").status_code == 200
    assert nobody.get("/api/budgets").status_code == 403
    assert create(reader).status_code == 403
    assert reader.patch(f"/api/budgets/{budget.public_id}", {"cap_usd": "1"}, content_type="application/json").status_code == 403
    assert reader.post(f"/api/budgets/{budget.public_id}/top_up", {"amount_usd": "1"}, content_type="application/json").status_code == 403


def test_the_platforms_budgets_are_nobody_elses_business(client: Client) -> None:
    platform = make_budget()
    assert client.get("/api/budgets").json()["data"] == []
    assert client.get(f"/api/budgets/{platform.public_id}").status_code == 404
