"""The connection to Postgres breaks after COMMIT was sent and before its answer came: nobody knows, and nothing is done twice."""

import pytest
from django.db import connection

from apps.jobs.actions import sweep
from apps.ops.queries.invariants import check_invariants
from apps.traces.models import Run
from tests.chaos.tables import note
from tests.chaos.test_pumps import assert_each_ended_once, some_are_done, submit
from tests.chaos.wire import wired
from tests.chaos.workers import own_database_url, run_out, until, worker
from tests.simulated import Simulator

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.chaos, pytest.mark.timeout(900)]

ITEMS = 600
CUTS = 8


def test_a_commit_whose_answer_is_lost_is_not_done_again(simulator: Simulator) -> None:
    port = int(connection.get_connection_params()["port"])
    url = own_database_url()
    with wired(port) as wire, worker("exec", DATABASE_URL=url.replace(f":{port}/", f":{wire.port}/"), JOBS_LEASE_SECONDS="10"):
        # Seven seconds of work, so that there are enough commits left whenever the cutting begins.
        job = submit(simulator, ITEMS, script="[[sim delay=1]]")
        until(lambda: some_are_done(job, 50), "a part was done", meanwhile=sweep)
        wire.cut(b"COMMIT", CUTS)
        until(lambda: wire.cuts == CUTS, "all cuts were made", meanwhile=sweep)
        run_out(job)
    assert_each_ended_once(job, ITEMS)
    # A claim that was committed unheard is taken back when its lease ends; nothing was sent for it.
    lost = Run.objects.filter(job_id=job.id, outcome="lost").count()
    calls = simulator.calls()["total"]
    note("Cut commits", ("cuts", "items", "calls", "claims taken back"), (CUTS, ITEMS, calls, lost))
    assert calls == ITEMS
    assert [one for one in check_invariants(since=job.created_at) if one.broken] == []
