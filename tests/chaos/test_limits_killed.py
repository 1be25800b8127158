"""A limited provider and pumps killed with their permits in hand: nothing is lost, and the limit is kept all the while."""

import json
import os
import signal
import urllib.request
from collections.abc import Iterator

import pytest

from apps.jobs.actions import sweep
from tests.chaos.test_pumps import assert_each_ended_once, some_are_done, submit
from tests.chaos.workers import QUICK, claiming_pids, run_out, until, worker
from tests.simulated import Simulator

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.chaos, pytest.mark.timeout(900)]

WINDOW = int(QUICK["JOBS_MAX_IN_FLIGHT"])


@pytest.fixture
def limited(simulator: Simulator) -> Iterator[Simulator]:
    """The simulator with 1,800 requests in any minute, which is 30 a second."""

    def limit(requests_per_minute: int | None) -> None:
        content = json.dumps({"requests_per_minute": requests_per_minute}).encode()
        urllib.request.urlopen(urllib.request.Request(f"{simulator.root}/sim/script", data=content), timeout=10).close()

    limit(1800)
    yield simulator
    limit(None)


@pytest.mark.parametrize(
    "limits",
    [{"requests_per_minute": 1800}, pytest.param({"requests_per_minute": 1800, "max_concurrency": 8}, marks=pytest.mark.long)],
)
def test_killed_pumps_leave_the_limit_kept_and_nothing_lost(limited: Simulator, limits: dict[str, int]) -> None:
    with worker("exec"):
        job = submit(limited, 600, **limits)
        until(lambda: some_are_done(job, 150), "a part was done", meanwhile=sweep)
        os.kill(claiming_pids()[0], signal.SIGKILL)
        until(lambda: some_are_done(job, 350), "more was done", meanwhile=sweep)
        os.kill(claiming_pids()[0], signal.SIGKILL)
        run_out(job)
        stats = limited.stats()
    assert_each_ended_once(job, 600)
    assert 600 <= limited.calls()["total"] <= 600 + 2 * WINDOW
    assert stats["by_status"].get("429", 0) == 0
