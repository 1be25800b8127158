"""Rings that come doubled, again while the first is being heeded, forged or broken: no call is made for them."""

import json

import pytest
from django.db import transaction

from apps.jobs.actions import ring, sweep
from apps.jobs.models import Job
from apps.lib.redis_client import redis_client
from apps.ops.queries.invariants import check_invariants
from tests.chaos.tables import note
from tests.chaos.test_pumps import assert_each_ended_once, some_are_done, submit
from tests.chaos.workers import PATIENT, run_out, until, worker
from tests.simulated import Simulator

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.chaos, pytest.mark.timeout(900)]

COPIES = 100
ITEMS = 400
QUEUE = "default"
UNACKNOWLEDGED = "unacked"


def rung(simulator: Simulator, items: int = ITEMS) -> tuple[Job, bytes]:
    """A job, and the message that rings for it as it lies in the queue."""
    client = redis_client()
    client.delete(QUEUE)
    job = submit(simulator, items)
    message = client.lindex(QUEUE, 0)
    assert message
    return job, message


def test_a_ring_that_comes_a_hundred_times_makes_no_call_more(simulator: Simulator) -> None:
    job, message = rung(simulator)
    redis_client().lpush(QUEUE, *[message] * COPIES)
    with worker("exec", **PATIENT):
        run_out(job)
        until(lambda: redis_client().llen(QUEUE) == 0, "all rings were heard", meanwhile=sweep)
    assert_each_ended_once(job, ITEMS)
    assert simulator.calls()["total"] == ITEMS
    note("Doubled rings", ("rings", "copies", "items", "calls"), ("waiting", COPIES, ITEMS, ITEMS))


def test_a_ring_that_is_delivered_again_while_its_pump_runs_makes_no_call_more(simulator: Simulator) -> None:
    """What a visibility timeout does: the broker hands out once more what is not acknowledged yet."""
    client = redis_client()
    client.delete(UNACKNOWLEDGED)
    with worker("exec", **PATIENT):
        job = submit(simulator, ITEMS, script="[[sim delay=1]]")
        until(lambda: some_are_done(job, 50), "a part was done", meanwhile=sweep)
        held = [json.loads(content)[0] for content in client.hvals(UNACKNOWLEDGED)]
        messages = [json.dumps(message) for message in held if message["headers"]["task"] == "jobs.run_items"]
        assert messages
        client.lpush(QUEUE, *messages * COPIES)
        run_out(job)
    assert_each_ended_once(job, ITEMS)
    assert simulator.calls()["total"] == ITEMS
    note("Doubled rings", ("rings", "copies", "items", "calls"), ("not acknowledged", len(messages) * COPIES, ITEMS, ITEMS))


@pytest.mark.long
def test_forged_and_broken_messages_end_no_worker(simulator: Simulator) -> None:
    job, message = rung(simulator, 50)
    good = json.loads(message)
    forged = [
        {**good, "headers": {**good["headers"], "task": "os.system"}},
        {**good, "headers": {**good["headers"], "task": "jobs.run_items"}, "body": "bm90IGpzb24="},
        {**good, "content-type": "application/x-python-serialize", "body": "gASVCAAAAAAAAACMBGJvb22ULg=="},
        {**good, "body": "x" * 5_000_000},
    ]
    client = redis_client()
    client.lpush(QUEUE, *[json.dumps(one) for one in forged])
    with worker("exec") as process:
        pid = process.pid
        run_out(job)
        until(lambda: client.llen(QUEUE) == 0, "all messages were taken", meanwhile=sweep)
        with transaction.atomic():
            ring(lane="default", job_id=job.id)
        until(lambda: client.llen(QUEUE) == 0, "the worker still listens", meanwhile=sweep)
        assert (process.pid, process.is_running()) == (pid, True)
    assert_each_ended_once(job, 50)
    assert simulator.calls()["total"] == 50
    assert [one for one in check_invariants(since=job.created_at) if one.broken] == []
