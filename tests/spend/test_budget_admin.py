"""Budgets in the back office: owners keep their own, superusers the platform's; a top-up asks first."""

from decimal import Decimal
from typing import Any

import pytest
from django.urls import reverse

from apps.accounts.models import Role
from apps.spend.models import Budget, BudgetPeriod
from tests.factories.accounts import make_api_key, make_office_client, make_user, make_workspace
from tests.jobs.rows import make_job
from tests.spend.purses import MODEL, claim, make_budget

pytestmark = pytest.mark.django_db
ADD = {"scope": "workspace", "period": "month", "cap_usd": "25", "is_hard": "on", "reason": "as agreed"}


def owner() -> Any:
    return make_office_client(make_user("ada", acme=Role.OWNER))


def add(client: Any, **values: Any) -> Any:
    return client.post(reverse("admin:spend_budget_add"), ADD | {"workspace": make_workspace().pk} | values)


def test_an_owner_adds_a_budget_for_each_of_the_scopes() -> None:
    key, _ = make_api_key()
    client = owner()
    for values in ({}, {"scope": "user", "subject": "u1"}, {"scope": "feature", "subject": "f"}, {"scope": "api_key", "api_key": key.pk}):
        answer = add(client, **values)
        assert answer.status_code == 302, answer.context["errors"]
    assert Budget.objects.values_list("scope", flat=True).distinct().count() == 4


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"scope": "platform"}, "platform is not one of the available choices"),
        ({"scope": "job"}, "job is not one of the available choices"),
        ({"scope": "user"}, "A budget of this scope (end user) needs it."),
        ({"subject": "x"}, "A budget of this scope (workspace) takes none: leave it empty."),
        ({"workspace": ""}, "This field is required."),
        ({"cap_usd": "-1"}, "greater than or equal to 0"),
    ],
)
def test_what_makes_no_sense_is_told_at_its_field(values: dict[str, Any], told: str) -> None:
    answer = add(owner(), **values)
    assert answer.status_code == 200
    assert told in answer.content.decode().replace("&#x27;", "'")
    assert not Budget.objects.exists()


def test_an_owner_sees_neither_the_platforms_budgets_nor_other_workspaces() -> None:
    make_budget(cap="12345")
    make_budget("workspace", "54321", workspace=make_workspace("theirs"))
    client = owner()
    page = client.get(reverse("admin:spend_budget_changelist")).content.decode()
    assert ("12,345" in page, "54,321" in page) == (False, False)
    assert client.get(reverse("admin:spend_budget_top_up", args=[Budget.objects.get(scope="platform").pk])).status_code == 404


def test_the_list_shows_what_is_spent_and_a_bar() -> None:
    budget = make_budget("workspace", "10", workspace=make_workspace())
    make_job(prompts=["a"], model_id=MODEL)
    claim()
    BudgetPeriod.objects.update(spent_usd=Decimal("8.5"))
    page = owner().get(reverse("admin:spend_budget_changelist")).content.decode()
    assert "$8.50 of $10.00" in page
    assert 'value="85"' in page
    assert "nearly used up" in page
    shown = owner_page(budget)
    assert "$1.00" in shown


def owner_page(budget: Budget) -> str:
    client = make_office_client(make_user("grace", acme=Role.OWNER))
    text: str = client.get(reverse("admin:spend_budget_change", args=[budget.pk])).content.decode()
    return text


def test_a_top_up_asks_and_holds_for_the_period() -> None:
    budget = make_budget("workspace", "10", workspace=make_workspace(), period="month")
    client, page = owner(), reverse("admin:spend_budget_top_up", args=[budget.pk])
    assert "How many US dollars more?" in client.get(page).content.decode()
    assert not BudgetPeriod.objects.exists()
    assert client.post(page, {"amount_usd": "-3", "reason": "a busy week"}).status_code == 200
    assert "Say why" in client.post(page, {"amount_usd": "2.5", "reason": " "}).content.decode()
    assert not BudgetPeriod.objects.exists()
    assert client.post(page, {"amount_usd": "2.5", "reason": "a busy week"}).status_code == 302
    budget.refresh_from_db()
    assert (budget.cap_usd, BudgetPeriod.objects.get().extra_usd) == (Decimal(10), Decimal("2.5"))


def test_a_viewer_looks_and_changes_nothing() -> None:
    budget = make_budget("workspace", "10", workspace=make_workspace())
    client = make_office_client(make_user("eve", acme=Role.VIEWER))
    client.post(reverse("admin:spend_budget_top_up", args=[budget.pk]), {"amount_usd": "5", "reason": "as agreed"})
    client.post(
        reverse("admin:spend_budget_change", args=[budget.pk]), {"cap_usd": "99", "is_hard": "on", "is_active": "on", "reason": "as agreed"}
    )
    budget.refresh_from_db()
    assert budget.cap_usd == Decimal(10)
    assert not BudgetPeriod.objects.exists()
