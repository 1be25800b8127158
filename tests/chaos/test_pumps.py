"""Pumps killed, stopped, replaced, and their broker emptied: every item ends once, and is paid for once."""

import os
import signal
from collections.abc import Sequence

import pytest

from apps.jobs.actions import ring, sweep
from apps.jobs.domain.lifecycle import ItemState
from apps.jobs.models import Item, Job, Pump
from apps.lib.redis_client import redis_client
from apps.providers.models import Model, Provider, Target
from apps.spend.models import Charge
from apps.traces.models import Run
from tests.chaos.workers import PATIENT, QUICK, claiming_pids, run_out, stop, until, worker
from tests.jobs.rows import make_job
from tests.simulated import Simulator

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.chaos, pytest.mark.timeout(900)]

WINDOW = int(QUICK["JOBS_MAX_IN_FLIGHT"])


def submit(simulator: Simulator, items: int, *, script: str = "[[sim delay=0.2]]", scripts: Sequence[str] = (), **limits: int) -> Job:
    """A job whose items all do what `script` says, after one item for each of `scripts`; `limits` are the provider's."""
    provider = Provider.objects.create(name="simulated", base_url=simulator.base_url, **limits)
    model = Model.objects.create(name="small")
    Target.objects.create(model=model, provider=provider, upstream_model="simulated")
    each = [*scripts, *[script] * (items - len(scripts))]
    job = make_job(prompts=[f"{each[n]} item {n}" for n in range(items)], model_id=model.id)
    ring(lane="default", job_id=job.id)
    return job


def some_are_done(job: Job, number: int) -> bool:
    job.refresh_from_db()
    return job.done >= number


def assert_each_ended_once(job: Job, items: int) -> None:
    job.refresh_from_db()
    assert (job.total, job.done, job.dead) == (items, items, 0)
    assert Item.objects.filter(job=job, state=ItemState.DONE).count() == items
    assert Charge.objects.filter(job_id=job.id).count() == items
    assert Charge.objects.filter(job_id=job.id).values("item_id").distinct().count() == items
    assert Run.objects.filter(job_id=job.id, outcome="ok").count() == items
    assert sum(Charge.objects.filter(job_id=job.id).values_list("cost_usd", flat=True)) == job.cost_usd


def test_a_killed_pump_loses_nothing_and_repeats_at_most_what_it_held(simulator: Simulator) -> None:
    with worker("exec"):
        job = submit(simulator, 600, script="[[sim delay=0.5]]")
        until(lambda: some_are_done(job, 100), "a part was done", meanwhile=sweep)
        os.kill(claiming_pids()[0], signal.SIGKILL)
        run_out(job)
    assert_each_ended_once(job, 600)
    assert 600 <= simulator.calls()["total"] <= 600 + WINDOW
    assert Run.objects.filter(job_id=job.id, outcome="lost").count() <= WINDOW


def test_a_killed_worker_loses_nothing(simulator: Simulator) -> None:
    with worker("exec") as first:
        job = submit(simulator, 600, script="[[sim delay=0.5]]")
        until(lambda: some_are_done(job, 100), "a part was done", meanwhile=sweep)
        for member in [first, *first.children(recursive=True)]:
            member.kill()
        first.wait()
        with worker("exec"):
            run_out(job)
    assert_each_ended_once(job, 600)
    assert 600 <= simulator.calls()["total"] <= 600 + 2 * WINDOW


@pytest.mark.long
def test_a_worker_broken_off_loses_nothing(simulator: Simulator) -> None:
    """SIGQUIT ends it at once, wherever it is."""
    job, rounds = submit(simulator, 600), 4
    for number in range(1, rounds + 1):
        with worker("exec") as process:
            until(lambda number=number: some_are_done(job, 100 * number), "a part was done", meanwhile=sweep)
            process.send_signal(signal.SIGQUIT)
            process.wait(60)
    with worker("exec"):
        run_out(job)
    assert_each_ended_once(job, 600)
    assert 600 <= simulator.calls()["total"] <= 600 + rounds * 2 * WINDOW


def test_a_worker_told_to_stop_settles_what_is_in_the_air_and_repeats_nothing(simulator: Simulator) -> None:
    with worker("exec", **PATIENT) as first:
        # Seven seconds of work: however late one looks, there is some left.
        job = submit(simulator, 600, script="[[sim delay=1]]")
        until(lambda: some_are_done(job, 100), "a part was done", meanwhile=sweep)
        stop(first)
        assert Item.objects.filter(job=job, state=ItemState.RUNNING).count() == 0
        job.refresh_from_db()
        assert job.done < 600
        assert Item.objects.filter(job=job, losses__gt=0).count() == 0
    with worker("exec", **PATIENT):
        run_out(job)
    assert_each_ended_once(job, 600)
    assert simulator.calls()["total"] == 600


def test_an_emptied_broker_costs_delay_and_no_work(simulator: Simulator) -> None:
    with worker("exec", **PATIENT):
        job = submit(simulator, 400)
        until(lambda: some_are_done(job, 50), "a part was done", meanwhile=sweep)
        redis_client().flushdb()
        run_out(job)
        second = make_job(prompts=[f"[[sim delay=0.05]] later {n}" for n in range(50)], model_id=Model.objects.get().id)
        redis_client().flushdb()
        run_out(second)
    assert (second.done, second.dead) == (50, 0)
    assert_each_ended_once(job, 400)
    assert simulator.calls()["total"] == 450


def test_a_pump_hands_over_to_its_successor_without_repeating_a_call(simulator: Simulator) -> None:
    with worker("exec", JOBS_PUMP_SECONDS="2", JOBS_PUMPS_PER_HOST="1", **PATIENT):
        job = submit(simulator, 1200)
        run_out(job)
        until(lambda: Pump.objects.filter(ended_at=None).count() == 0, "the pumps ended")
    assert_each_ended_once(job, 1200)
    assert simulator.calls()["total"] == 1200
    assert Pump.objects.filter(replaces_id__isnull=False).count() >= 1


def test_failures_are_tried_again_and_the_hopeless_ones_die_with_a_reason(simulator: Simulator) -> None:
    with worker("exec", **PATIENT):
        # Few among many that succeed: half failed would open the target's breaker.
        job = submit(simulator, 40, scripts=["[[sim status=500 times=2]]"] * 4)
        hopeless = make_job(prompts=["[[sim status=400]] never"], model_id=Model.objects.get().id)
        run_out(job)
        run_out(hopeless)
    assert_each_ended_once(job, 40)
    # Those that fail one after another show that the target is down, and cost no attempt.
    assert Run.objects.filter(job_id=job.id, outcome="failed_upstream", decision__in=["retry", "snooze"]).count() == 8
    dead = Item.objects.get(job=hopeless)
    assert (dead.state, dead.outcome, dead.status_code, dead.attempts) == (ItemState.DEAD, "rejected", 400, 1)
    assert dead.error_message


def test_a_worker_with_no_time_left_gives_long_calls_back_uncounted(simulator: Simulator) -> None:
    with worker("exec", JOBS_DRAIN_SECONDS="1", **PATIENT) as first:
        job = submit(simulator, 30, script="[[sim delay=40]]")
        until(lambda: Item.objects.filter(job=job, state=ItemState.RUNNING).count() == 30, "the calls were in the air", meanwhile=sweep)
        stop(first)
    assert set(Item.objects.filter(job=job).values_list("state", "losses", "attempts")) == {(ItemState.WAITING, 0, 0)}
    assert Run.objects.filter(job_id=job.id, outcome="given_back").count() == 30
