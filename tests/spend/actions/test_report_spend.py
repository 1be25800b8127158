"""The report that Flower shows: today, the month, who spends, what is set aside, and which budgets fill up."""

import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from apps.spend.actions import report_spend, roll_up
from apps.spend.domain.budgets import period_bounds
from apps.spend.models import BudgetPeriod, Charge
from apps.spend.tasks import report
from tests.factories.accounts import make_workspace
from tests.factories.jobs import make_job
from tests.spend.purses import make_budget

pytestmark = pytest.mark.django_db


def test_it_tells_the_money_at_a_glance() -> None:
    now = timezone.now()
    make_job(done=3, dead=0, running=0, waiting=0)
    Charge.objects.update(cost_usd=Decimal("0.5"), input_tokens=10, output_tokens=5, created_at=now)
    full = make_budget("workspace", "2", workspace=make_workspace(), period="day")
    roomy = make_budget("platform", "100")
    for budget, spent in ((full, "1.5"), (roomy, "1.5")):
        begin, end = period_bounds(budget.period, time_zone="UTC", at=now)
        rank = 0 if budget is roomy else 1
        BudgetPeriod.objects.create(
            budget=budget, rank=rank, starts_at=begin, ends_at=end, spent_usd=Decimal(spent), reserved_usd=Decimal("0.25")
        )
    told = report_spend(now=now + timedelta(microseconds=1))
    assert (told["today_usd"], told["month_usd"], told["today_calls"], told["today_tokens"]) == ("1.5", "1.5", 3, 45)
    assert told["complete"] is False
    roll_up()
    assert report_spend(now=now + timedelta(microseconds=1)) == told | {"complete": True}
    assert told["workspaces"] == [{"workspace": "acme", "today_usd": "1.5"}]
    assert told["budgets"] == [{"budget": "workspace acme", "period": "day", "spent_percent": 75.0, "room_usd": "0.25", "hard": True}]
    assert (told["reserved_usd"], told["today_waste_usd"]) == ("0.25", "0")
    assert Decimal(told["month_forecast_usd"]) >= Decimal("1.5")


def test_where_nothing_was_spent_it_tells_nothing_and_is_json() -> None:
    told = report()
    assert json.loads(json.dumps(told)) == told
    assert (told["today_usd"], told["workspaces"], told["budgets"], told["reserved_usd"]) == ("0", [], [], "0")
