"""Items whose end user or feature is out of money go aside; they come back when its budget is raised or begins anew."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from importlib import import_module
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError, connection
from django.db.models.functions import Now
from django.utils import timezone

from apps.jobs.actions.recheck_held import recheck_held
from apps.jobs.actions.release_held import release_held
from apps.jobs.actions.settle import settle_group
from apps.jobs.domain.lifecycle import ItemState
from apps.jobs.models import Aside, Item, Job
from apps.lib.ids import uuid7
from apps.spend.models import Budget
from tests.jobs.rows import make_job, make_workspace
from tests.spend.purses import BOOK, MODEL, PUMP, claim, finished, make_budget

pytestmark = pytest.mark.django_db
module = import_module("apps.jobs.actions.release_held")


def job_of(items: int) -> Job:
    return make_job(prompts=[f"prompt {n}" for n in range(items)], model_id=MODEL)


def test_items_of_a_user_without_money_go_aside_and_their_neighbours_run() -> None:
    workspace = make_workspace()
    budget = make_budget("user", "0", workspace=workspace, subject="ada")
    job = job_of(4)
    Item.objects.filter(job=job, position__lte=3).update(end_user="ada")
    assert [item.end_user for item in claim()] == [""]
    job.refresh_from_db()
    assert job.held_by_id is None
    aside = Item.objects.filter(job=job, end_user="ada")
    assert set(aside.values_list("state", "error_code")) == {(ItemState.WAITING, "budget_exhausted")}
    assert claim() == []
    Budget.objects.filter(id=budget.id).update(cap_usd=2)
    assert release_held(budget_id=budget.id) == 3
    assert len(claim()) == 2


def test_items_that_go_aside_while_their_budget_is_raised_are_found_by_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = make_workspace()
    budget = make_budget("feature", "0", workspace=workspace, subject="search", period="month")
    job = job_of(3)
    Item.objects.filter(job=job).update(feature="search")

    # Before the claim's commit nobody sees what it sets aside, so nobody lets it go.
    monkeypatch.setattr("apps.jobs.actions.claim.failpoint", lambda _: Budget.objects.filter(id=budget.id).update(cap_usd=2))
    assert claim() == []
    aside = Item.objects.filter(job=job, state=ItemState.WAITING, error_code="budget_exhausted", not_before__gt=timezone.now())
    assert aside.count() == 3
    assert recheck_held() == 3
    assert (recheck_held(), Aside.objects.count()) == (0, 0)
    settle_group([finished(item) for item in claim()], pump_id=PUMP, prices=BOOK)
    # Behind reservations alone it would have waited for a second.
    Item.objects.filter(state=ItemState.WAITING).update(not_before=timezone.now())
    assert (claim(), aside.count(), recheck_held()) == ([], 1, 0)
    assert Aside.objects.values_list("budget_id", "needs_usd").get() == (budget.id, Decimal(1))


def test_however_many_budgets_have_items_aside_the_sweep_asks_as_often(django_assert_num_queries: Any) -> None:
    workspace = make_workspace()
    for number in range(20):
        budget = make_budget("user", "0", workspace=workspace, subject=f"user-{number}", period="day" if number % 2 else "total")
        Aside.objects.create(budget_id=budget.id, needs_usd=1, run_id=uuid7())
        if number in {0, 19}:
            with django_assert_num_queries(4):
                assert recheck_held() == 0
    # Nobody knows any more what a budget that is gone has held.
    Aside.objects.create(budget_id=uuid7(), needs_usd=1, run_id=uuid7())
    assert (recheck_held(), Aside.objects.count()) == (0, 20)


def test_a_budget_that_lets_go_forgets_nothing_that_goes_aside_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    workspace = make_workspace()
    budget = make_budget("user", "0", workspace=workspace, subject="ada")
    job = job_of(2)
    Item.objects.filter(job=job, position=1).update(end_user="ada")
    assert len(claim()) == 1
    assert recheck_held() == 0

    # A claim that runs at this moment.
    monkeypatch.setattr(module, "ring", lambda **_: claim())
    assert release_held(budget_id=budget.id) == 1
    assert Aside.objects.count() == 1
    monkeypatch.undo()
    assert release_held(budget_id=budget.id) == 1
    assert Aside.objects.count() == 0


def test_what_the_cheapest_needed_that_is_no_longer_there_is_not_looked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    make_budget("user", "0.5", workspace=make_workspace(), subject="ada")
    Item.objects.filter(job=job_of(3)).update(end_user="ada")
    assert claim() == []
    # A cheaper one had gone aside with them, and was cancelled.
    Aside.objects.update(needs_usd=Decimal("0.1"))
    monkeypatch.setattr(module, "ring", lambda **_: claim())
    assert recheck_held() == 3
    assert Aside.objects.values_list("needs_usd", "recalled_usd").get() == (Decimal(1), None)
    assert recheck_held() == 0
    Budget.objects.update(cap_usd=1)
    monkeypatch.undo()
    assert (recheck_held(), Aside.objects.count()) == (3, 0)


def test_a_recall_that_breaks_off_is_begun_again_by_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    """What had not come back yet is looked for by its own need, though a dearer one has gone aside meanwhile."""
    make_budget("user", "0.5", workspace=make_workspace(), subject="ada")
    Item.objects.filter(job=job_of(5)).update(end_user="ada")
    assert claim() == []
    Aside.objects.update(needs_usd=Decimal("0.1"))
    monkeypatch.setattr(module, "_AT_ONCE", 2)
    bites = []

    def break_off(**_: Any) -> None:
        bites.append(claim())
        if len(bites) == 2:
            raise OperationalError

    monkeypatch.setattr(module, "ring", break_off)
    with pytest.raises(OperationalError):
        recheck_held()
    assert Aside.objects.values_list("needs_usd", "recalled_usd").get() == (Decimal(1), Decimal("0.1"))
    assert recheck_held() == 5
    assert Aside.objects.values_list("needs_usd", "recalled_usd").get() == (Decimal(1), None)


@pytest.mark.parametrize("period", ["total", "month"])
@pytest.mark.parametrize("is_everywhere", [True, False])
def test_many_items_come_back_in_bites_each_once(period: str, is_everywhere: bool, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: FBT001 -- parametrized
    workspace = make_workspace()
    budget = make_budget("feature", "0", workspace=None if is_everywhere else workspace, subject="search", period=period)
    Item.objects.filter(job=job_of(7)).update(feature="search")
    Item.objects.filter(job=job_of(2)).update(
        feature="other", error_code="budget_exhausted", not_before=timezone.now() + timedelta(hours=1)
    )
    assert claim() == []
    monkeypatch.setattr(module, "_AT_ONCE", 3)
    back: list[int] = []

    def ring(**_: Any) -> None:
        back.append(ready())
        # They are claimed, refused and set aside again before the next bite is made.
        assert claim() == []

    monkeypatch.setattr(module, "ring", ring)
    assert release_held(budget_id=budget.id) == 7
    assert (back, ready()) == ([3, 3, 1], 0)
    monkeypatch.undo()
    assert (release_held(budget_id=budget.id), ready()) == (7, 7)


def ready() -> int:
    return Item.objects.filter(state=ItemState.WAITING, not_before__lte=Now()).count()


@pytest.mark.django_db(transaction=True)
def test_two_who_let_go_at_once_do_not_do_it_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    budget = make_budget("user", "0", workspace=make_workspace(), subject="ada")
    Item.objects.filter(job=job_of(5)).update(end_user="ada")
    assert claim() == []
    others: list[int] = []

    def release_too() -> int:
        try:
            return release_held(budget_id=budget.id)
        finally:
            connection.close()

    def ring(**_: Any) -> None:
        with ThreadPoolExecutor(1) as pool:
            others.append(pool.submit(release_too).result(30))

    monkeypatch.setattr(module, "_AT_ONCE", 2)
    monkeypatch.setattr(module, "ring", ring)
    assert (release_held(budget_id=budget.id), others, ready()) == (5, [0, 0, 0], 5)
    assert release_held(budget_id=budget.id) == 0


@pytest.mark.parametrize("has_workspace", [True, False])
def test_few_that_wait_for_money_are_found_among_many_that_wait(*, has_workspace: bool) -> None:
    workspace = make_workspace() if has_workspace else None
    budget = make_budget("user", "0", workspace=workspace, subject="ada")
    Item.objects.filter(job=job_of(3)).update(end_user="ada")
    assert claim() == []
    job_of(3000)
    statement, values = module._statement(budget)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE jobs_item")
        cursor.execute(module._IN_ORDER)
        cursor.execute(f"EXPLAIN {statement}", values | {"after": UUID(int=0)})
        plan = "\n".join(line for (line,) in cursor)
    assert "jobs_item_held_by_id" in plan, plan
    assert release_held(budget_id=budget.id) == 3
