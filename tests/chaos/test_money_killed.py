"""Pumps killed in mid-work: all sums are equal afterwards, and each call that was delivered was charged once, or is known as lost."""

import os
import signal
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models import F, Sum

from apps.jobs.actions import ring, sweep
from apps.jobs.models import Item, Job
from apps.providers.models import Model, Provider, Target
from apps.spend.models import BudgetPeriod, Charge, Price, Proof, ReconciledDay, Resolution, Waste
from tests.chaos.tables import note, say
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


def told(*command: str) -> str:
    out = StringIO()
    call_command(*command, stdout=out)
    return out.getvalue()


def test_after_pumps_were_killed_all_sums_are_equal_and_the_provider_counts_what_was_charged(simulator: Simulator) -> None:
    with worker("exec"):
        job = submit(simulator)
        for number in range(1, KILLS + 1):
            kill_a_pump(job, when_done=100 * number)
        run_out(job)
    job.refresh_from_db()
    assert (job.done, job.dead) == (ITEMS, 0)
    sums = {
        "charges": total(Charge.objects, "cost_usd"),
        "the job's count": job.cost_usd,
        "its items": total(Item.objects.filter(job=job), "cost_usd"),
        "the ledger of reservations": total(Resolution.objects.filter(kind="charge"), "amount_usd"),
        "the workspace's budget": total(BudgetPeriod.objects.filter(budget__scope="workspace"), "spent_usd"),
        "the platform's budget, less waste": total(BudgetPeriod.objects.filter(budget__scope="platform"), "spent_usd")
        - total(Waste.objects, "amount_usd"),
    }
    for name, amount in sums.items():
        note(TITLE, ("", "dollars"), (name, f"{amount:.6f}"))
    assert len(set(sums.values())) == 1
    assert total(BudgetPeriod.objects, "reserved_usd") == 0
    proved = told("prove_money")
    reconciled = told("reconcile", "simulated", "--simulator", simulator.root)
    say(f"{TITLE}, and the provider's own count", f"{KILLS} of its processes killed while {ITEMS} items ran\n{proved}{reconciled}")
    assert Proof.objects.get().is_whole
    assert_nothing_is_left_over(simulator)


def assert_nothing_is_left_over(simulator: Simulator) -> None:
    """Something was lost on the way, and all of it is known."""
    rows = ReconciledDay.objects.all()
    assert all(row.is_equal for row in rows)
    seen = simulator.usage()
    for name in ("requests", "input_tokens", "output_tokens"):
        ours, lost = total(rows, f"our_{name}"), total(rows, f"wasted_{name}")
        assert sum(row[name] for row in seen) - ours - lost == 0
    assert total(rows, "our_requests") == ITEMS == Charge.objects.count()
    assert not ReconciledDay.objects.exclude(their_requests=F("our_requests") + F("wasted_requests")).exists()
