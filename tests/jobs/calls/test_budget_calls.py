"""A single call whose budget is used up: 429, for ever or until the budget is fresh again."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from apps.jobs.actions.call_threads import in_thread
from apps.jobs.actions.compose import compose_call
from apps.jobs.actions.settle import settle_group
from apps.jobs.domain.claimed import Finished
from apps.jobs.models import Item
from apps.providers.domain.calls import Completion
from apps.spend.models import Budget
from tests.factories.accounts import make_workspace
from tests.jobs.calls.callers import GOOD, make_callable, make_secret, next_item, post
from tests.spend.purses import BOOK, MODEL, PUMP, claim, make_budget

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def secret() -> str:
    make_callable()
    return make_secret()


def pump_once() -> None:
    """What a pump does with an item that no budget pays for."""
    Item.objects.update(model_id=MODEL)
    for item in claim():
        completion = compose_call(item)
        assert isinstance(completion, Completion)
        settle_group([Finished(item=item, completion=completion, ended_at=timezone.now())], pump_id=PUMP, prices=BOOK)


async def refused(secret: str, **headers: str) -> Any:
    call = asyncio.create_task(post(secret, GOOD, **headers))
    await next_item()
    await in_thread(pump_once)
    return await call


async def test_a_budget_for_good_is_never_worth_a_retry(secret: str) -> None:
    await in_thread(make_budget, cap="0.5")
    answer = await refused(secret)
    assert (answer.status_code, answer["x-should-retry"], "Retry-After" in answer) == (429, "false", False)
    error = answer.json()["error"]
    assert (error["code"], error["type"]) == ("insufficient_quota", "insufficient_quota")
    assert error["message"] == "The platform's budget is used up."


async def test_a_budget_by_the_hour_says_when_it_is_fresh_again(secret: str) -> None:
    await in_thread(make_budget, cap="0.5", period="hour")
    answer = await refused(secret)
    assert (answer.status_code, "x-should-retry" in answer) == (429, False)
    assert 0 < int(answer["Retry-After"]) <= 3600


async def test_a_calls_own_bound_is_a_budget_of_its_own(secret: str) -> None:
    answer = await refused(secret, **{"X_Max-Cost-USD": "0.25"})
    assert (answer.status_code, answer["x-should-retry"]) == (429, "false")
    assert answer.json()["error"]["message"] == "The budget of this job has no room: of $0.25, $0 is spent, and this may cost $1."
    budget = await in_thread(Budget.objects.get)
    assert (budget.scope, budget.cap_usd) == ("job", Decimal("0.25"))


async def test_a_call_of_what_is_paused_is_refused_for_good(secret: str) -> None:
    await in_thread(make_budget, "feature", "0", period="pause", subject="search", workspace=await in_thread(make_workspace))
    answer = await refused(secret, X_Feature="search")
    assert (answer.status_code, answer["x-should-retry"], "Retry-After" in answer) == (429, "false", False)
    assert answer.json()["error"]["message"].startswith("This feature is paused: much more was done by it than is usual.")
