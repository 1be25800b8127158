"""Budgets in the engine: what is claimed has its money, what is settled is charged, what is given back is free again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from apps.accounts.models import Workspace
from apps.jobs.actions.claim import claim_suspects, ready_lanes
from apps.jobs.actions.recheck_held import recheck_held
from apps.jobs.actions.release import release_items
from apps.jobs.actions.settle import settle_group
from apps.jobs.actions.take_back import take_back_lost
from apps.jobs.domain.claimed import ClaimedItem, Finished
from apps.jobs.domain.lifecycle import ItemState
from apps.jobs.domain.settlement import Settlement
from apps.jobs.models import Item, Job
from apps.providers.domain.calls import Course, PaidCall, Route, Stage
from apps.providers.domain.catalogue import Catalogue
from apps.providers.domain.dearest import Quoter
from apps.providers.domain.outcomes import Outcome
from apps.spend.domain.pricing import PriceBook
from apps.spend.domain.spending import Dimension, Question
from apps.spend.domain.usage import TokenUsage
from apps.spend.models import Budget, BudgetPeriod, Charge, Reservation, Resolution, Waste
from apps.spend.queries import check_counters, check_ledger
from apps.spend.queries.spending import split_spending
from tests.factories.accounts import make_api_key
from tests.jobs.rows import make_job, make_workspace
from tests.spend.purses import BOOK, MODEL, PRICE, PUMP, QUOTER, ROUTE, claim, counters, finished, make_budget

pytestmark = pytest.mark.django_db
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def job_of(items: int, **values: Any) -> Job:
    return make_job(prompts=[f"prompt {n}" for n in range(items)], model_id=MODEL, **values)


def settle(*runs: Any) -> list[Settlement]:
    return settle_group([run if hasattr(run, "completion") else finished(run) for run in runs], pump_id=PUMP, prices=BOOK)


def test_as_many_items_as_fit_are_claimed_and_the_others_keep_their_place() -> None:
    budget, job = make_budget(cap="3.5"), job_of(5)
    claimed = claim()
    assert [item.reserved_usd for item in claimed] == [Decimal(1)] * 3
    assert counters(budget) == (Decimal(3), Decimal(0))
    waiting = Item.objects.filter(job=job, state=ItemState.WAITING, run_id=None, lease_until=None, attempts=0, losses=0)
    assert sorted(waiting.values_list("position", flat=True)) == [4, 5]
    assert set(Reservation.objects.values_list("id", flat=True)) == {item.run_id for item in claimed}


def test_a_counter_goes_on_beyond_100_million_dollars() -> None:
    """A soft budget stops nobody, and its counter must never be what stops the settling of work."""
    budget, _ = make_budget(is_hard=False), job_of(2)
    claim(1)
    BudgetPeriod.objects.update(spent_usd=Decimal("99999999.5"))
    settle(*claim(1))
    assert counters(budget) == (Decimal(1), Decimal("100000000.5"))


def test_prices_of_many_places_leave_nothing_in_a_counter_that_its_rows_do_not_hold() -> None:
    """A token of 0.1234567 dollars a million has 13 places, the columns have 12: rows and counters must not round differently."""
    odd = replace(PRICE, input_usd_per_million=Decimal("0.1234567"), request_usd=Decimal(0))
    book = PriceBook([odd])
    budget, job = make_budget(), job_of(150)
    claimed = claim(150, quoter=Quoter(QUOTER.catalogue, book))
    amounts = [item.reserved_usd for item in claimed]
    assert len(amounts) == 150
    assert counters(budget) == (sum(Reservation.objects.values_list("amount_usd", flat=True), Decimal(0)), Decimal(0))
    for group in (claimed[:80], claimed[80:149], claimed[149:]):
        settle_group([finished(item) for item in group], pump_id=PUMP, prices=book)
    charged = sum(Charge.objects.values_list("cost_usd", flat=True), Decimal(0))
    job.refresh_from_db()
    assert charged > 0
    assert counters(budget) == (Decimal(0), charged)
    assert job.cost_usd == charged


def test_while_reservations_alone_are_in_the_way_the_job_is_not_held_and_goes_on_after_the_next_settle() -> None:
    budget, job = make_budget(cap="2"), job_of(4)
    first, second = claim()
    assert claim() == []
    job.refresh_from_db()
    assert job.held_by_id is None
    settle(finished(first, Outcome.FAILED_UPSTREAM))
    assert len(claim()) == 1
    settle(second)
    assert counters(budget) == (Decimal(1), Decimal(1))


def test_a_charge_stays_and_the_rest_of_the_reservation_is_free_again() -> None:
    budget, _ = make_budget(), job_of(1)
    cheap = QUOTER
    (item,) = claim(quoter=cheap)
    settle(item)
    assert counters(budget) == (Decimal(0), Decimal(1))
    assert Resolution.objects.values_list("kind", "amount_usd").get() == ("charge", Decimal(1))
    assert Charge.objects.get().cost_usd == Decimal(1)


def test_what_was_perhaps_billed_is_the_operators_and_stands_in_the_platforms_budget_alone() -> None:
    workspace = make_workspace()
    platform, own = make_budget(), make_budget("workspace", workspace=workspace)
    job_of(1)
    (item,) = claim()
    settle(finished(item, Outcome.AMBIGUOUS))
    assert (counters(platform), counters(own)) == ((Decimal(0), Decimal(1)), (Decimal(0), Decimal(0)))
    assert Resolution.objects.get().kind == "waste"
    assert Waste.objects.values_list("reason", "amount_usd", "run_id").get() == ("ambiguous", Decimal(1), item.run_id)
    assert not Charge.objects.exists()


def test_what_a_charged_run_wasted_besides_is_in_the_platforms_budget_too() -> None:
    """A first model answered, which is charged, and the model after it perhaps did: nobody knows."""
    workspace = make_workspace()
    platform, own = make_budget(), make_budget("workspace", workspace=workspace)
    job_of(2, policy={"has_contract": True})
    both, plain = claim()
    settle(answered_and_cut(both), plain)
    assert (counters(platform), counters(own)) == ((Decimal(0), Decimal(3)), (Decimal(0), Decimal(2)))
    ends = {row.reservation_id: (row.kind, row.amount_usd, row.waste_usd) for row in Resolution.objects.all()}
    assert ends == {both.run_id: ("charge", Decimal(1), Decimal(1)), plain.run_id: ("charge", Decimal(1), Decimal(0))}
    assert Waste.objects.values_list("run_id", "amount_usd").get() == (both.run_id, Decimal(1))
    assert (check_counters(), check_ledger(since=BEGIN)) == ([], [])
    Resolution.objects.filter(reservation_id=both.run_id).update(waste_usd=0)
    assert len(check_counters()) == 1
    assert check_ledger(since=BEGIN) == [f"run {both.run_id}: resolved with a waste of $0.000000000000, its waste is $1.000000000000"]


def answered_and_cut(item: ClaimedItem) -> Finished:
    good, cut = finished(item), finished(item, Outcome.AMBIGUOUS)
    (exchange,) = good.completion.exchanges
    paid = PaidCall(MODEL, exchange.provider_id, exchange.upstream_model, exchange.sent_at, TokenUsage(input_tokens=10, output_tokens=5))
    course = Course(paid=(paid,), stage=Stage.MODEL, next_model_id=MODEL, is_accepted=False)
    return replace(cut, completion=replace(cut.completion, exchanges=(exchange, *cut.completion.exchanges), course=course))


@pytest.mark.parametrize(("policy", "wasted"), [({}, ["0", "0"]), ({"has_contract": True}, ["1", "0"])])
def test_a_run_is_charged_and_wastes_no_more_than_was_set_aside_for_it(policy: dict[str, bool], wasted: list[str]) -> None:
    """One of its calls was answered and two were cut; what the policy allows decides what had been set aside."""
    budget, _ = make_budget(cap="2"), job_of(1, policy=policy)
    (item,) = claim()
    run = answered_and_cut(item)
    exchanges = (*run.completion.exchanges, run.completion.exchanges[-1])
    settle(replace(run, completion=replace(run.completion, exchanges=exchanges)))
    assert list(Waste.objects.order_by("seq").values_list("amount_usd", flat=True)) == [Decimal(amount) for amount in wasted]
    assert counters(budget) == (Decimal(0), Reservation.objects.get().amount_usd)
    assert (check_counters(), check_ledger(since=BEGIN)) == ([], [])


def test_what_may_have_been_billed_is_priced_as_its_reservation_was() -> None:
    """By the model's own bound; with a budget and without one."""
    price = replace(PRICE, output_usd_per_million=Decimal(1_000_000), request_usd=Decimal(0))
    route = replace(ROUTE, max_output_tokens=1000)
    quoter = Quoter(Catalogue(ids={"small": MODEL}, routes_by_model={MODEL: (route,)}), PriceBook([price]))
    job_of(1)
    (free,) = claim(quoter=quoter)
    make_budget(cap="1000")
    job_of(1)
    (bounded,) = claim(quoter=quoter)
    assert (free.reserved_usd, bounded.reserved_usd) == (None, Decimal(1000))
    settle_group([cut(free, route), cut(bounded, route)], pump_id=PUMP, prices=PriceBook([price]))
    assert list(Waste.objects.values_list("amount_usd", flat=True)) == [Decimal(1000)] * 2


def cut(item: ClaimedItem, route: Route) -> Finished:
    run = finished(item, Outcome.AMBIGUOUS)
    (exchange,) = run.completion.exchanges
    return replace(run, completion=replace(run.completion, exchanges=(replace(exchange, max_output_tokens=route.max_output_tokens),)))


def test_a_given_back_item_gives_its_money_back() -> None:
    budget, _ = make_budget(), job_of(2)
    held = claim()
    release_items(held, now=timezone.now())
    assert counters(budget) == (Decimal(0), Decimal(0))
    assert set(Resolution.objects.values_list("kind", flat=True)) == {"release"}


def test_a_lost_item_is_the_operators_waste_and_a_late_settle_changes_nothing(settings: Any) -> None:
    settings.JOBS_OUTAGE_SECONDS = -86_400 * 365
    workspace = make_workspace()
    platform, own, _ = make_budget(), make_budget("workspace", workspace=workspace), job_of(1)
    (item,) = claim()
    Item.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert take_back_lost() == 1
    settle(item)
    assert (counters(platform), counters(own)) == ((Decimal(0), Decimal(1)), (Decimal(0), Decimal(0)))
    assert Resolution.objects.get().kind == "waste"
    assert Waste.objects.get().reason == "lost"


def test_the_waste_of_a_lost_run_is_told_apart_as_its_charge_would_have_been(settings: Any) -> None:
    settings.JOBS_OUTAGE_SECONDS = -86_400 * 365
    workspace = make_workspace()
    key, _ = make_api_key(workspace)
    make_budget()
    job = job_of(1, api_key=key)
    Item.objects.filter(job=job).update(end_user="ada", feature="search", prompt_version="find@2")
    (item,) = claim()
    Item.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    take_back_lost()
    waste = Waste.objects.get()
    assert (waste.model_id, waste.api_key_id, waste.end_user, waste.feature, waste.lane) == (MODEL, key.id, "ada", "search", item.lane)
    question = Question(since=BEGIN, until=timezone.now() + timedelta(hours=1))
    told = {"model": MODEL, "api_key": key.id, "end_user": "ada", "feature": "search", "lane": item.lane, "prompt_version": "find@2"}
    for by, value in told.items():
        assert [(part.value, part.sums.waste_usd) for part in split_spending(question, Dimension(by))] == [(value, Decimal(1))]


@pytest.mark.parametrize("scope", ["workspace", "user", "api_key", "feature", "job", "platform"])
def test_each_level_bounds_what_belongs_to_it_and_nothing_else(scope: str) -> None:
    workspace, other = make_workspace(), make_workspace("other")
    key, _ = make_api_key(workspace)
    job = job_of(4, api_key=key)
    Item.objects.filter(job=job).update(end_user="ada", feature="search")
    strange = job_of(4, workspace=other)
    whose: dict[str, Any] = {
        "platform": {},
        "workspace": {"workspace": workspace},
        "user": {"workspace": workspace, "subject": "ada"},
        "api_key": {"workspace": workspace, "api_key": key},
        "feature": {"workspace": workspace, "subject": "search"},
        "job": {"workspace": workspace, "job_id": job.id},
    }
    make_budget(scope, "2", **whose[scope])
    found = [item.job_id for item in claim()]
    expected = (2, 0) if scope == "platform" else (2, 4)
    assert (found.count(job.id), found.count(strange.id)) in ({expected, (0, 2), (1, 1)} if scope == "platform" else {expected})


def test_nobody_bounds_another_workspaces_job_by_knowing_its_id() -> None:
    job = job_of(3)
    make_budget("job", "0", workspace=make_workspace("theirs"), job_id=job.id)
    assert len(claim()) == 3


def test_the_narrowest_of_a_chain_decides_and_all_count() -> None:
    workspace = make_workspace()
    job = job_of(5)
    chain = [
        make_budget(cap="4"),
        make_budget("workspace", "3", workspace=workspace),
        make_budget("job", "2", workspace=workspace, job_id=job.id),
        make_budget("workspace", "100", workspace=workspace, period="day"),
    ]
    assert len(claim()) == 2
    assert [counters(budget) for budget in chain] == [(Decimal(2), Decimal(0))] * 4


def test_a_soft_budget_counts_and_stops_nobody() -> None:
    budget, _ = make_budget(cap="1", is_hard=False), job_of(3)
    settle(*claim())
    assert counters(budget) == (Decimal(0), Decimal(3))


def test_a_job_whose_budget_is_spent_is_held_and_resumes_when_it_is_raised() -> None:
    workspace = make_workspace()
    budget, job = make_budget("workspace", "2", workspace=workspace), job_of(4)
    settle(*claim())
    assert claim() == []
    job.refresh_from_db()
    assert (job.held_by_id, job.held_until, job.held_needs_usd) == (budget.id, None, Decimal(1))
    assert ready_lanes(["default"]) == []
    assert recheck_held() == 0
    Budget.objects.update(cap_usd=3)
    assert recheck_held() == 1
    assert len(claim()) == 1


def far_from_midnight() -> str:
    """Of two time zones, both half an hour beside the full ones, the one whose day neither has just begun nor is about to end."""
    hours = {name: timezone.localtime(timezone=ZoneInfo(name)).hour for name in ("Asia/Kolkata", "America/St_Johns")}
    return min(hours, key=lambda name: abs(hours[name] - 12))


def test_a_job_is_held_until_the_next_period_begins() -> None:
    workspace = Workspace.objects.create(name="acme", time_zone=far_from_midnight())
    _, job = make_budget("workspace", "1", workspace=workspace, period="day"), job_of(3, workspace=workspace)
    settle(*claim())
    assert claim() == []
    job.refresh_from_db()
    now = timezone.now()
    assert job.held_until is not None
    assert now < job.held_until <= now + timedelta(days=1)
    assert job.held_until.minute == 30
    # A day later: the old period has gone by, and a new one is begun.
    BudgetPeriod.objects.update(starts_at=now - timedelta(hours=3), ends_at=now - timedelta(hours=2))
    Job.objects.update(held_until=now - timedelta(seconds=1))
    assert ready_lanes(["default"]) == ["default"]
    assert len(claim()) == 1


def test_a_budget_that_is_raised_while_the_hold_is_written_holds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    budget, job = make_budget(cap="1"), job_of(3)
    settle(*claim())
    # Between the claim's commit and the hold.
    monkeypatch.setattr("apps.jobs.actions.claim.failpoint", lambda _: Budget.objects.update(cap_usd=5))
    assert claim() == []
    job.refresh_from_db()
    assert job.held_by_id is None
    assert budget.id


def test_a_job_that_shall_fail_is_claimed_to_die_of_it() -> None:
    make_budget(cap="1", period="month")
    job = job_of(3, on_budget="fail")
    settle(*claim())
    dying = claim()
    assert [bool(item.refusal) for item in dying] == [True, True]
    assert all(item.reserved_usd is None for item in dying)
    assert Reservation.objects.count() == 1
    assert Item.objects.filter(job=job, state=ItemState.RUNNING, not_before__gt=timezone.now()).count() == 2


def test_a_suspect_has_its_money_too() -> None:
    budget, _ = make_budget(cap="2"), job_of(5)
    Item.objects.update(losses=2)
    assert len(claim_suspects(pump_id=PUMP, lanes=["default"], quoter=QUOTER)) == 2
    assert counters(budget) == (Decimal(2), Decimal(0))


def test_without_a_budget_nothing_is_reserved_or_resolved() -> None:
    job_of(3)
    claimed = claim()
    assert [item.reserved_usd for item in claimed] == [None] * 3
    assert [one.ended for one in settle(*claimed)] == [None] * 3
    assert (Reservation.objects.count(), Resolution.objects.count(), BudgetPeriod.objects.count()) == (0, 0, 0)
