"""Whole pumps against the simulated provider, under budgets: a job stops at its cap, and ends complete once it is topped up."""

import sys
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO
from typing import Any
from uuid import UUID

import orjson
import pytest
from django.core.management import call_command
from django.utils import timezone

from apps.jobs.actions import release_held, run_items
from apps.jobs.domain.lifecycle import ItemState
from apps.jobs.models import Item, Job
from apps.providers.models import Model, Provider, Target
from apps.spend.actions import make_job_budget, top_up_budget
from apps.spend.models import Budget, BudgetPeriod, Charge, Price, Reservation, Waste
from apps.spend.queries import check_counters, check_ledger
from apps.traces.actions import store_bodies
from apps.traces.domain.bodies import make_body
from apps.traces.models import Run
from tests.jobs.rows import make_job
from tests.simulated import Simulator
from tests.spend.purses import make_budget

pytestmark = pytest.mark.django_db(transaction=True)
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def model(simulator: Simulator) -> Model:
    """A dollar a million input tokens, ten a million output tokens."""
    provider = Provider.objects.create(name="simulated", base_url=simulator.base_url)
    model = Model.objects.create(name="small", max_output_tokens=30)
    Target.objects.create(model=model, provider=provider, upstream_model="simulated")
    Price.objects.create(
        provider_id=provider.id, upstream_model="simulated", effective_from=BEGIN, input_usd_per_million=1, output_usd_per_million=10
    )
    return model


def run(lane: str = "default") -> dict[str, Any]:
    return run_items(lane=lane, job_id=None, replaces=None, is_isolating=False, clock=lambda: datetime.now(UTC))


def with_bodies(job: Job, **values: Any) -> Job:
    """The job, each of its requests with these values."""
    for item in Item.objects.filter(job=job):
        content = {"model": "small", "messages": [{"role": "user", "content": f"question {item.position}"}], **values}
        body = make_body(job.workspace_id, orjson.dumps(content))
        store_bodies([body])
        Item.objects.filter(id=item.id).update(request_body_id=body.id)
    return job


def spent(job: Job) -> Decimal:
    period = BudgetPeriod.objects.get(budget__job_id=job.id)
    assert period.reserved_usd == 0
    return period.spent_usd


def test_what_the_platform_fails_over_after_it_was_answered_is_waste(
    model: Model, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("a defect of ours")

    monkeypatch.setattr(sys.modules["apps.providers.actions.complete"], "check_reading", fail)
    job = with_bodies(make_job(prompts=["x"], model_id=model.id), max_tokens=30)
    make_budget(cap="1")
    run()
    assert simulator.calls()["total"] == 1
    reserved = Reservation.objects.get()
    waste = Waste.objects.get()
    assert (waste.run_id, waste.reason, waste.provider_id, waste.amount_usd) == (reserved.id, "ambiguous", None, reserved.amount_usd)
    period = BudgetPeriod.objects.get()
    assert (period.reserved_usd, period.spent_usd, job.cost_usd) == (0, reserved.amount_usd, 0)
    # The provider counts an answer that nobody was charged for, and it is known why.
    out = StringIO()
    call_command("reconcile", "simulated", simulator=simulator.root, stdout=out)
    assert "delivered and not charged (ambiguous): 1 call\n" in out.getvalue()
    assert check_counters() == check_ledger(since=BEGIN) == []


def test_a_job_stops_below_its_cap_and_ends_complete_after_a_top_up(model: Model, simulator: Simulator) -> None:
    job = with_bodies(make_job(prompts=["x"] * 100, model_id=model.id), max_tokens=30)
    cap = Decimal("0.0135")
    make_job_budget(workspace_id=job.workspace_id, job_id=job.id, cap_usd=cap)
    run()
    job.refresh_from_db()
    assert job.held_by_id is not None
    assert 0 < job.done < 100
    assert cap * Decimal("0.9") < spent(job) <= cap
    assert job.cost_usd == spent(job)
    asked = simulator.calls()["total"]
    assert asked == job.done
    assert run()["items"] == 0

    budget = Budget.objects.get(job_id=job.id)
    top_up_budget(budget_id=budget.id, amount_usd=Decimal(1), now=timezone.now())
    assert release_held(budget_id=budget.id) == 1
    run()
    job.refresh_from_db()
    assert (job.done, job.dead, job.held_by_id) == (100, 0, None)
    assert simulator.calls()["total"] == 100
    charged = sum(Charge.objects.values_list("cost_usd", flat=True), Decimal(0))
    assert spent(job) == job.cost_usd == charged
    assert (check_counters(), check_ledger(since=BEGIN)) == ([], [])


def test_a_job_that_shall_fail_dies_of_its_budget_and_says_so(model: Model) -> None:
    job = with_bodies(make_job(prompts=["x"] * 30, model_id=model.id, on_budget="fail"), max_tokens=30)
    make_job_budget(workspace_id=job.workspace_id, job_id=job.id, cap_usd=Decimal("0.004"))
    run()
    job.refresh_from_db()
    assert job.done + job.dead == 30
    assert job.done > 0
    dead = Item.objects.filter(job=job, state=ItemState.DEAD)
    assert set(dead.values_list("error_code", flat=True)) == {"budget_exhausted"}
    assert "of $0.004" in dead[0].error_message
    assert spent(job) <= Decimal("0.004")
    assert Run.objects.filter(error_code="budget_exhausted").count() == job.dead


def test_an_answer_without_a_bound_is_reserved_at_the_models(model: Model) -> None:
    Model.objects.update(max_output_tokens=70)
    job = with_bodies(make_job(prompts=["x"] * 3, model_id=model.id))
    make_job_budget(workspace_id=job.workspace_id, job_id=job.id, cap_usd=Decimal(1))
    run()
    size = len(orjson.dumps({"model": "small", "messages": [{"role": "user", "content": "question 1"}]}))
    expected = (size * Decimal(1) + 70 * Decimal(10)) / 1_000_000
    assert set(Reservation.objects.values_list("amount_usd", flat=True)) == {expected}


def test_a_budget_of_a_workspace_stops_all_its_jobs_and_nobody_elses(model: Model) -> None:
    first = with_bodies(make_job(prompts=["x"] * 30, model_id=model.id), max_tokens=30)
    second = with_bodies(make_job(prompts=["x"] * 30, model_id=model.id), max_tokens=30)
    Budget.objects.create(scope="workspace", workspace=first.workspace, period="month", cap_usd=Decimal("0.005"))
    run()
    first.refresh_from_db()
    second.refresh_from_db()
    assert first.cost_usd + second.cost_usd <= Decimal("0.005")
    assert first.done + second.done >= 13
    assert first.held_until == second.held_until is not None
    assert UUID(int=0) not in {first.held_by_id, second.held_by_id}
