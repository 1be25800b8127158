"""Budgets that will be used up before their period ends: told once for each period and cap, and over when it turns."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.lib.ids import uuid7
from apps.ops.actions.watch_conditions import watch_conditions
from apps.spend.actions import change_budget, roll_up
from apps.spend.domain.budgets import RANKS, ScopeKind, period_bounds
from apps.spend.models import Budget, BudgetPeriod, RollupMark
from apps.webhooks.models import Alert, Event
from tests.factories.accounts import make_api_key, make_workspace
from tests.factories.spend import make_charge
from tests.factories.webhooks import make_endpoint
from tests.spend.purses import make_budget

pytestmark = pytest.mark.django_db
# A Wednesday, at noon.
NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)


@pytest.fixture(autouse=True)
def _summed_up() -> None:
    roll_up()


def spend(budget: Budget, amount: str, *, now: datetime = NOW) -> None:
    begin, end = period_bounds(budget.period, time_zone="UTC", at=now)
    rank = RANKS[ScopeKind(budget.scope)]
    BudgetPeriod.objects.update_or_create(
        budget=budget, starts_at=begin, defaults={"ends_at": end, "rank": rank, "spent_usd": Decimal(amount)}
    )


def watch(now: datetime = NOW) -> list[Alert]:
    watch_conditions(now=now)
    return list(Alert.objects.open().filter(kind="budget.forecast").order_by("id"))


def test_an_hour_that_runs_too_fast_is_told_with_what_it_will_come_to() -> None:
    budget = make_budget("workspace", "10", period="hour", workspace=make_workspace())
    now = NOW + timedelta(minutes=20)
    spend(budget, "3", now=now)
    assert watch(now) == []
    spend(budget, "4", now=now)
    (alert,) = watch(now)
    assert alert.title == "workspace acme: as it goes on, $12.00 will be spent by the end of its hour, of $10.00"
    assert (alert.severity, alert.workspace_id, alert.path) == ("warning", budget.workspace_id, f"/admin/spend/budget/{budget.id}/change/")
    assert (alert.data["forecast_usd"], alert.data["cap_usd"], alert.data["spent_usd"]) == ("12.00", "10", "4")


def test_a_day_that_is_mostly_over_by_noon_in_other_weeks_is_quiet_and_one_that_is_not_is_told() -> None:
    acme, globex = make_workspace(), make_workspace("globex")
    for week in (1, 2, 3):
        make_charge(acme.id, "9", at=NOW - week * WEEK - HOUR)
        make_charge(acme.id, "1", at=NOW - week * WEEK + HOUR)
        make_charge(globex.id, "1", at=NOW - week * WEEK - HOUR)
        make_charge(globex.id, "9", at=NOW - week * WEEK + HOUR)
    for workspace in (acme, globex):
        spend(make_budget("workspace", "20", period="day", workspace=workspace), "9.5")
    assert [alert.workspace_id for alert in watch()] == [globex.id]
    assert Alert.objects.get(kind="budget.forecast").data["forecast_usd"] == "95.00"


def test_a_month_goes_by_the_last_seven_days_of_the_key_or_feature() -> None:
    key, _ = make_api_key()
    workspace = make_workspace()
    make_charge(workspace.id, "7", at=NOW - 2 * DAY, api_key_id=key.id, feature="search")
    make_charge(workspace.id, "50", at=NOW - 9 * DAY, api_key_id=key.id, feature="search")
    make_charge(workspace.id, "50", at=NOW - 2 * DAY, api_key_id=None, feature="other")
    spend(make_budget("api_key", "62", period="month", workspace=workspace, api_key=key), "57")
    spend(make_budget("feature", "80", period="month", workspace=workspace, subject="search"), "57")
    (alert,) = watch()
    # 57 and a dollar a day for twelve and a half days.
    assert (alert.data["cap_usd"], alert.data["forecast_usd"]) == ("62", "69.50")


@pytest.mark.parametrize(("scope", "values"), [("platform", {}), ("user", {"subject": "ada"})])
def test_the_platforms_and_an_end_users_are_watched_too(scope: str, values: Any) -> None:
    spend(make_budget(scope, "10", period="day", **values), "6")
    (alert,) = watch()
    assert (alert.workspace_id, alert.data["forecast_usd"]) == (None, "12.00")


def test_nothing_is_said_early_nor_of_what_is_switched_off_or_used_up() -> None:
    early = NOW.replace(hour=5)
    spend(make_budget("workspace", "10", period="day", workspace=make_workspace()), "9", now=early)
    assert watch(early) == []
    Budget.objects.all().delete()
    spend(make_budget("workspace", "10", period="day", workspace=make_workspace(), is_active=False), "9")
    spend(make_budget("platform", "10", period="day"), "10")
    assert watch() == []


def test_it_is_told_once_in_a_period_and_over_when_it_falls_well_below() -> None:
    make_endpoint()
    budget = make_budget("workspace", "10", period="day", workspace=make_workspace())
    spend(budget, "6")
    for _ in range(3):
        assert len(watch()) == 1
    # By three in the afternoon there is no more: 6 of 15 hours come to 9.60, which is not yet well below; by five to 8.47.
    assert len(watch(NOW + 3 * HOUR)) == 1
    assert watch(NOW + 5 * HOUR) == []
    spend(budget, "9.9")
    assert watch(NOW + 5 * HOUR) == []
    assert [event.type for event in Event.objects.filter(payload__contains="budget.forecast").order_by("id")] == [
        "alert.raised",
        "alert.resolved",
    ]


def test_it_is_over_when_the_cap_is_raised_and_told_anew_for_the_new_cap() -> None:
    budget = make_budget("workspace", "10", period="day", workspace=make_workspace())
    spend(budget, "6")
    assert len(watch()) == 1
    change_budget(budget_id=budget.id, values={"cap_usd": Decimal(30)})
    assert watch(NOW + timedelta(minutes=3)) == []
    spend(budget, "18")
    (alert,) = watch(NOW + timedelta(minutes=6))
    assert alert.data["cap_usd"] == "30"


def test_when_it_came_true_it_stands_until_the_period_ends() -> None:
    budget = make_budget("workspace", "10", period="day", workspace=make_workspace())
    spend(budget, "6")
    watch()
    spend(budget, "10")
    assert len(watch(NOW + 3 * HOUR)) == 1
    assert watch(NOW + 13 * HOUR) == []


def test_while_sums_are_made_anew_it_stands_as_it_was(caplog: pytest.LogCaptureFixture) -> None:
    acme = make_workspace()
    make_charge(acme.id, "70", at=NOW - 2 * DAY)
    spend(make_budget("workspace", "100", period="month", workspace=acme), "80")
    (alert,) = watch()
    # As far as the upgrade has come, nothing was spent in the last seven days.
    RollupMark.objects.update(history_after=uuid7(), before=2**62)
    assert watch(NOW + HOUR) == [alert]
    assert "condition_broken" not in caplog.text
    RollupMark.objects.all().delete()
    roll_up()
    assert watch(NOW + 2 * HOUR) == [alert]
    assert Event.objects.filter(payload__contains="alert.resolved").count() == 0


def test_budgets_far_below_their_course_cost_no_question_each() -> None:
    def questions() -> int:
        with CaptureQueriesContext(connection) as asked:
            watch_conditions(now=NOW)
        return len(asked)

    few = questions()
    for number in range(10):
        spend(make_budget("feature", "100", period="day", workspace=make_workspace(), subject=f"f{number}"), "1")
    assert questions() == few
