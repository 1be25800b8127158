"""Every failpoint, killed, stopped beyond the lease and then continued, or broken by an exception: each item still ends once."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from apps.jobs.actions import submit_batch, sweep
from apps.jobs.domain.lifecycle import ItemState, JobStatus
from apps.jobs.models import Item, Job, Pump
from apps.lib.failpoints import POINTS, VARIABLE
from apps.ops.queries.invariants import check_invariants
from apps.providers.models import Model, Provider, Target
from apps.spend.models import BudgetPeriod, Charge, Price, Waste
from apps.traces.models import Run
from tests.chaos.points import Points
from tests.chaos.tables import note
from tests.chaos.workers import QUICK, until, worker
from tests.jobs.batches import CHAT, input_line, jsonl, make_input_file
from tests.jobs.rows import make_workspace
from tests.simulated import Simulator
from tests.spend.purses import make_budget

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.chaos, pytest.mark.timeout(900)]
ACTIONS = ("kill", "stop", "raise")
ITEMS = 160
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
WINDOW = int(QUICK["JOBS_MAX_IN_FLIGHT"])
COLUMNS = ("point", "action", "lease", "items", "lost", "charged twice", "stale writes", "extra calls", "taken back", "recovered after")


@dataclass(frozen=True)
class Pace:
    """How long a lease is, how often it is renewed, and how often beat sweeps (here the test does)."""

    name: str
    lease_seconds: float
    renew_seconds: float
    sweep_seconds: float

    @property
    def settings(self) -> dict[str, str]:
        return {"JOBS_LEASE_SECONDS": f"{self.lease_seconds:g}", "JOBS_RENEW_SECONDS": f"{self.renew_seconds:g}"}

    @property
    def longest_seconds(self) -> float:
        """Until what was lost must have been found and done; how soon it is, the table tells."""
        return self.lease_seconds + 180


SMALL, DEFAULTS = Pace("small", 3, 0.75, 1), Pace("defaults", 60, 15, 10)


@dataclass
class Workers:
    """The worker sets that a batch passes, and the folder of their files and points."""

    points: Points
    storage: Path
    pace: Pace


@contextmanager
def working(folder: Path, pace: Pace) -> Iterator[Workers]:
    points, storage = folder / "points", folder / "storage"
    points.mkdir()
    settings = pace.settings | {VARIABLE: str(points), "AIPLATFORM_STORAGE": str(storage)}
    with ExitStack() as stack:
        for name in ("exec", "ingest"):
            stack.enter_context(worker(name, **settings))
        yield Workers(Points(points), storage, pace)


@pytest.fixture(scope="module")
def workers(request: pytest.FixtureRequest, django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    """One pair for all cases of a pace."""
    with working(tmp_path_factory.mktemp("matrix"), request.param) as made:
        yield made


def submit(simulator: Simulator) -> Job:
    provider = Provider.objects.create(name="simulated", base_url=simulator.base_url)
    model = Model.objects.create(name="small")
    Target.objects.create(model=model, provider=provider, upstream_model="simulated")
    Price.objects.create(
        provider_id=provider.id, upstream_model="simulated", effective_from=BEGIN, input_usd_per_million=1, output_usd_per_million=10
    )
    workspace = make_workspace()
    # So that money is set aside for every run; none of them is used up.
    make_budget(cap="1000")
    make_budget("workspace", "1000", workspace=workspace)
    file = make_input_file(jsonl(input_line(f"[[sim delay=0.2]] {n}") for n in range(ITEMS)), workspace=workspace)
    request = {"input_file_id": file.public_id, "endpoint": CHAT, "completion_window": "24h", "metadata": {"max_cost_usd": "1000"}}
    return submit_batch(workspace_id=workspace.id, api_key_id=None, values=request, now=timezone.now())


def has_status(job: Job, status: JobStatus) -> Callable[[], bool]:
    def asked() -> bool:
        job.refresh_from_db()
        return job.status == status

    return asked


def holds_nothing(pid: int) -> bool:
    return not Item.objects.filter(state=ItemState.RUNNING, pump_id__in=Pump.objects.filter(pid=pid).values("id")).exists()


def sweeping(pace: Pace) -> Callable[[], object]:
    """As beat does."""
    swept_at = 0.0

    def when_due() -> None:
        nonlocal swept_at
        if time.monotonic() - swept_at >= pace.sweep_seconds:
            swept_at = time.monotonic()
            sweep()

    return when_due


def strike(workers: Workers, simulator: Simulator, point: str, action: str) -> None:
    """One job on the way through, one point armed; what has come of it is a row of the table."""
    pace, points = workers.pace, workers.points
    began, beat = timezone.now(), sweeping(pace)
    points.arm(point, action)
    job = submit(simulator)
    until(lambda: points.has_fired(point), f"{point} was passed", meanwhile=beat)
    fired_at = time.monotonic()
    if action == "stop":
        pid = points.pid_of(point)
        points.let_go_on(point, lambda: holds_nothing(pid), after_seconds=pace.lease_seconds + pace.sweep_seconds, meanwhile=beat)
    until(has_status(job, JobStatus.COMPLETED), "the job completed", seconds=pace.longest_seconds, meanwhile=beat)
    recovered = time.monotonic() - fired_at
    until(lambda: not Pump.objects.filter(ended_at=None).gone().exists(), "no pump is left for dead", meanwhile=sweep)
    points.disarm()
    figures = measure(job, simulator)
    shown = [figures[name] for name in ("lost", "doubled", "stale", "extra", "taken_back")]
    note("The crash matrix", COLUMNS, (point, action, f"{pace.lease_seconds:g} s", ITEMS, *shown, f"{recovered:.1f} s"))
    assert (figures["lost"], figures["doubled"], figures["stale"]) == (0, 0, 0)
    assert 0 <= figures["extra"] <= WINDOW
    assert_all_is_whole(began)
    until(lambda: not Pump.objects.filter(ended_at=None).exists(), "the pumps ended", meanwhile=sweep)


def measure(job: Job, simulator: Simulator) -> dict[str, int]:
    charges = list(Charge.objects.filter(job_id=job.id).values_list("item_id", "run_id"))
    lost_runs = set(Run.objects.filter(job_id=job.id, outcome="lost").values_list("id", flat=True))
    ended_by = Item.objects.filter(job=job, state=ItemState.DONE).values_list("run_id", flat=True)
    return {
        "lost": ITEMS - len(ended_by),
        "doubled": len(charges) - len({item_id for item_id, _ in charges}),
        "stale": len(lost_runs.intersection(ended_by)) + len(lost_runs.intersection(run_id for _, run_id in charges)),
        "extra": simulator.calls()["total"] - ITEMS,
        "taken_back": len(lost_runs),
    }


def assert_all_is_whole(since: datetime) -> None:
    charged = sum(Charge.objects.values_list("cost_usd", flat=True), Decimal(0))
    assert set(BudgetPeriod.objects.exclude(rank=0).values_list("reserved_usd", "spent_usd")) == {(Decimal(0), charged)}
    wasted = sum(Waste.objects.values_list("amount_usd", flat=True), Decimal(0))
    assert BudgetPeriod.objects.get(rank=0).spent_usd == charged + wasted
    findings = check_invariants(since=since - timedelta(minutes=1), at_rest=True)
    assert [finding for finding in findings if finding.broken] == []


def kept_in(settings: Any, folder: Path) -> None:
    """Files where the workers look for them."""
    settings.STORAGES = settings.STORAGES | {"default": settings.STORAGES["default"] | {"OPTIONS": {"location": str(folder)}}}


_ELSEWHERE = ("advance.", "deliver.", "expire.", "roll_up.", "extract.", "index.", "tool.")
CASES = [(SMALL, point, action) for point in POINTS if not point.startswith(_ELSEWHERE) for action in ACTIONS]
CASES += [(DEFAULTS, "settle.before_commit", "kill")]
# What make test runs: killed at each step of an item once, and one that comes back after its lease with an answer in its hands.
_STEPS = ("validate.loaded", "claim.after_commit", "call.before_send", "call.answered", "settle.before_commit", "settle.after_commit")
_KILLED = (*_STEPS, "finish.before_commit", "ring.before_publish")
ALWAYS = [(SMALL, "call.answered", "stop"), *((SMALL, point, "kill") for point in _KILLED)]
PARAMETERS = [
    pytest.param(*case, marks=() if case in ALWAYS else pytest.mark.long, id="-".join((case[0].name, *case[1:]))) for case in CASES
]


@pytest.mark.parametrize(("workers", "point", "action"), PARAMETERS, indirect=["workers"])
def test_each_item_ends_once(workers: Workers, point: str, action: str, simulator: Simulator, settings: Any) -> None:
    kept_in(settings, workers.storage)
    strike(workers, simulator, point, action)
