"""Pumps killed in mid-work: all sums are equal afterwards, and each call that was delivered was charged once, or is known as lost."""

import os
import signal
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import Sum

from apps.jobs.actions import ring, sweep
from apps.jobs.models import Job
from apps.providers.models import Model, Provider, Target
from apps.spend.models import BudgetPeriod, Charge, Price, Proof, ReconciledDay, Resolution
from tests.chaos.reckoning import reckon_here
from tests.chaos.tables import note
from tests.chaos.workers import claiming_pids, run_out, until, worker
from tests.jobs.rows import make_job
from tests.simulated import Simulator
from tests.spend.purses import make_budget

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.chaos, pytest.mark.timeout(240)]

ITEMS, KILLS = 450, 3
TITLE = "pumps killed in mid-work: the sums of money"


def submit(simulator: Simulator) -> Job:
    """Answers take from a fifth of a second to a whole one, at a price, under two hard budgets."""
    provider = Provider.objects.create(name="simulated", base_url=simulator.base_url)
    model = Model.objects.create(name="small")
    Target.objects.create(model=model, provider=provider, upstream_model="simulated")
    prices = {"input_usd_per_million": 1, "output_usd_per_million": 2}
    Price.objects.create(provider_id=provider.id, upstream_model="simulated", effective_from="2020-01-01T00:00:00Z", **prices)
    prompts = [f"[[sim delay={0.2 + n % 9 / 10:g} tokens={10 + n % 50}]] item {n}" for n in range(ITEMS)]
    job = make_job(prompts=prompts, model_id=model.id)
    make_budget(cap="1000")
    make_budget("workspace", "1000", workspace=job.workspace)
    ring(lane="default", job_id=job.id)
    return job


def kill_a_pump(job: Job, *, when_done: int) -> None:
    def is_far_enough() -> bool:
        job.refresh_from_db()
        return job.done >= when_done and bool(claiming_pids())

    until(is_far_enough, f"{when_done} items were done", meanwhile=sweep)
    os.kill(claiming_pids()[0], signal.SIGKILL)


def total(rows: Any, column: str) -> Decimal:
    return rows.aggregate(total=Sum(column, default=Decimal(0)))["total"]


def test_after_pumps_were_killed_all_sums_are_equal_and_the_provider_counts_what_was_charged(simulator: Simulator) -> None:
    with worker("exec"):
        job = submit(simulator)
        for number in range(1, KILLS + 1):
            kill_a_pump(job, when_done=100 * number)
        run_out(job)
    job.refresh_from_db()
    assert (job.done, job.dead) == (ITEMS, 0)
    found = reckon_here(simulator)
    sums = {
        "charges": found.charged_usd,
        "the job's count": job.cost_usd,
        "the ledger of reservations": total(Resolution.objects.filter(kind="charge"), "amount_usd"),
        "the workspace's budget": total(BudgetPeriod.objects.filter(budget__scope="workspace"), "spent_usd"),
        "the platform's budget, less waste": total(BudgetPeriod.objects.filter(budget__scope="platform"), "spent_usd") - found.wasted_usd,
    }
    for name, amount in sums.items():
        note(TITLE, ("", "dollars"), (name, f"{amount:.6f}"))
    assert len(set(sums.values())) == 1
    assert found.charged.calls == Charge.objects.count() == ITEMS
    # All that was kept of it says the same.
    assert Proof.objects.get().is_whole
    rows = ReconciledDay.objects.all()
    assert all(row.is_equal for row in rows)
    assert (total(rows, "our_requests"), total(rows, "wasted_requests")) == (ITEMS, found.lost.calls)
    assert total(rows, "their_requests") == found.delivered.calls == ITEMS + found.lost.calls
