"""Every failpoint, killed, stopped beyond the lease and then continued, or broken by an exception: each item still ends once."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from apps.jobs.actions import ring, sweep
from apps.jobs.domain.lifecycle import ItemState, JobStatus
from apps.jobs.models import Item, Job, Pump
from apps.lib.failpoints import POINTS, VARIABLE
from apps.providers.models import Model, Provider, Target
from apps.spend.models import Charge
from apps.traces.models import Run
from tests.chaos.workers import QUICK, until, worker
from tests.jobs.rows import make_job
from tests.simulated import Simulator

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.chaos, pytest.mark.timeout(120)]
ACTIONS = ("kill", pytest.param("stop", marks=pytest.mark.long), pytest.param("raise", marks=pytest.mark.long))
ITEMS = 160
WINDOW = int(QUICK["JOBS_MAX_IN_FLIGHT"])
LEASE_SECONDS, SWEEP_SECONDS = 3, 1
SETTINGS = {"JOBS_LEASE_SECONDS": str(LEASE_SECONDS), "JOBS_RENEW_SECONDS": "0.75"}


@dataclass
class Workers:
    """The two worker sets that a batch passes, and the folder in which points are armed."""

    folder: Path
    processes: list[psutil.Process]
    rows: list[str] = field(default_factory=list)

    def arm(self, point: str, action: str) -> None:
        ready = self.folder / f"{point}.new"
        ready.write_text(action)
        ready.rename(self.folder / point)

    def has_fired(self, point: str) -> bool:
        return any(self.folder.glob(f"{point}.*"))

    def pid_of(self, point: str) -> int:
        return int(next(self.folder.glob(f"{point}.*")).suffix[1:])

    def disarm(self) -> None:
        for file in self.folder.iterdir():
            file.unlink()


@pytest.fixture(scope="module")
def workers(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Workers]:
    folder = tmp_path_factory.mktemp("points")
    settings = SETTINGS | {VARIABLE: str(folder)}
    with worker("exec", **settings) as runs, worker("ingest", **settings) as finishes:
        made = Workers(folder, [runs, finishes])
        yield made
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        lines = ["", "", "point                 action   items  extra calls  taken back  recovered after", *made.rows]
        sys.stdout.write("\n".join(lines))


def submit(simulator: Simulator) -> Job:
    provider = Provider.objects.create(name="simulated", base_url=simulator.base_url)
    model = Model.objects.create(name="small")
    Target.objects.create(model=model, provider=provider, upstream_model="simulated")
    return make_job(prompts=[f"[[sim delay=0.2]] item {n}" for n in range(ITEMS)], model_id=model.id)


def has_status(job: Job, status: JobStatus) -> Callable[[], bool]:
    def asked() -> bool:
        job.refresh_from_db()
        return job.status == status

    return asked


def let_go_on(pid: int, job: Job) -> None:
    """Continue a stopped process once others have taken over what it held, or the job ended without it."""
    stopped = psutil.Process(pid)
    until(lambda: stopped.status() == psutil.STATUS_STOPPED, "the process stopped")
    stopped_at = time.monotonic()

    def was_overtaken() -> bool:
        held = Item.objects.filter(state=ItemState.RUNNING, pump_id__in=Pump.objects.filter(pid=pid).values("id")).exists()
        return not held and time.monotonic() - stopped_at > LEASE_SECONDS + SWEEP_SECONDS

    until(was_overtaken, "its items were taken back", meanwhile=sweep)
    os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("point", POINTS)
def test_each_item_ends_once(point: str, action: str, workers: Workers, simulator: Simulator) -> None:
    job = submit(simulator)
    workers.arm(point, action)
    ring(lane="default", job_id=job.id)
    until(lambda: workers.has_fired(point), f"{point} was passed", meanwhile=sweep)
    fired_at = time.monotonic()
    if action == "stop":
        let_go_on(workers.pid_of(point), job)
    until(has_status(job, JobStatus.COMPLETED), "the job completed", seconds=60, meanwhile=sweep)
    recovered = time.monotonic() - fired_at
    until(lambda: not Pump.objects.filter(ended_at=None).gone().exists(), "no pump is left for dead", meanwhile=sweep)
    workers.disarm()

    assert (job.done, job.dead) == (ITEMS, 0)
    assert Item.objects.filter(job=job, state=ItemState.DONE).count() == ITEMS
    charges = dict(Charge.objects.filter(job_id=job.id).values_list("item_id", "run_id"))
    assert charges == dict(Item.objects.filter(job=job).values_list("id", "run_id")), "each item is charged for the run that ended it"
    assert Charge.objects.filter(job_id=job.id).count() == ITEMS
    assert Run.objects.filter(job_id=job.id, decision="done").count() == ITEMS
    extra = simulator.calls()["total"] - ITEMS
    assert 0 <= extra <= WINDOW
    taken_back = Run.objects.filter(job_id=job.id, outcome="lost").count()
    workers.rows.append(f"{point:<21} {action:<7} {ITEMS:>6}  {extra:>11}  {taken_back:>10}  {recovered:>12.1f} s")
    until(lambda: not Pump.objects.filter(ended_at=None).exists(), "the pumps ended", meanwhile=sweep)
