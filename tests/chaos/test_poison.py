"""An item that kills whoever runs it: it is found, and nobody beside it dies."""

import os
import signal
from typing import TYPE_CHECKING

import pytest

from apps.jobs.actions import sweep
from apps.jobs.domain.lifecycle import ItemState
from apps.jobs.models import Item, Job, Pump
from apps.spend.models import Charge
from tests.chaos.tables import note
from tests.chaos.test_pumps import WINDOW, submit
from tests.chaos.workers import until, worker
from tests.simulated import Simulator

if TYPE_CHECKING:
    from uuid import UUID

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.chaos, pytest.mark.timeout(900)]

ITEMS = 500
MOST_CRASHES = 5


class Poison:
    """An item, and the process that it kills as soon as it is run there."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.item = Item.objects.get(job=job, position=1)
        self.crashes: list[UUID] = []

    def strike(self) -> bool:
        """Kill who runs it, once for each run; True when all is over."""
        self.item.refresh_from_db()
        self.job.refresh_from_db()
        run_id = self.item.run_id
        if self.item.state == ItemState.RUNNING and run_id is not None and run_id not in self.crashes:
            self.crashes.append(run_id)
            os.kill(Pump.objects.get(id=self.item.pump_id).pid, signal.SIGKILL)
        return self.job.done + self.job.dead >= self.job.total


@pytest.mark.long
def test_a_poison_item_is_found_and_its_neighbours_live(simulator: Simulator) -> None:
    with worker("exec", JOBS_LEASE_SECONDS="3", JOBS_RENEW_SECONDS="0.75"):
        # Long enough for it to be in the air when its process dies.
        job = submit(simulator, ITEMS, scripts=["[[sim delay=60]]"])
        poison = Poison(job)
        until(poison.strike, "every item ended", seconds=120, pause=0.02, meanwhile=sweep)
    crashes, calls = len(poison.crashes), simulator.calls()["total"]
    note("A poison item", ("among", "crashes", "dead", "neighbours dead", "calls"), (ITEMS, crashes, job.dead, job.dead - 1, calls))
    assert crashes <= MOST_CRASHES
    assert (poison.item.state, poison.item.error_code) == (ItemState.DEAD, "poison")
    assert (job.done, job.dead) == (ITEMS - 1, 1)
    assert Charge.objects.filter(job_id=job.id).count() == ITEMS - 1
    # The first two crashes take a window each with them, the third the suspects, the last nobody.
    assert calls <= ITEMS + crashes * WINDOW
