"""Settle meets a session that locks the other way round: one of the two is broken off, and nothing is half done."""

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import psycopg
import pytest
from django.db import OperationalError, connection

from apps.jobs.actions.settle import settle_group
from apps.jobs.domain.lifecycle import ItemState
from apps.jobs.models import Item, Job
from apps.lib.background import INFRASTRUCTURE_ERRORS
from apps.spend.models import Charge
from tests.jobs.actions.test_settle import BOOK, PUMP, claim, finished
from tests.jobs.rows import make_job

pytestmark = pytest.mark.django_db(transaction=True)
_WAITS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


def another_session() -> psycopg.Connection:
    known = connection.get_connection_params()
    return psycopg.connect(**{name: known[name] for name in ("host", "port", "user", "password", "dbname")})


def close_own() -> None:
    """The connection of the thread that runs this."""
    connection.close()


def test_a_settle_that_is_broken_off_by_a_deadlock_is_done_again() -> None:
    job = make_job(prompts=["one"])
    (item,) = claim()
    group = [finished(item)]
    with ThreadPoolExecutor(1) as thread, another_session() as other, another_session() as watcher:
        watcher.autocommit = True
        other.execute("SELECT id FROM jobs_job WHERE id = %s FOR UPDATE", (job.id,))
        settling: Future[object] = thread.submit(settle_group, group, pump_id=PUMP, prices=BOOK)
        while watcher.execute(_WAITS).fetchone() != (1,):
            assert not settling.done(), "it waits for the job that the other session holds"
        broken_off = []
        try:
            other.execute("UPDATE jobs_item SET feature = 'x' WHERE id = %s", (item.item_id,))
            other.commit()
        except psycopg.errors.DeadlockDetected:
            broken_off.append("other")
            other.rollback()
        with suppress(*INFRASTRUCTURE_ERRORS):
            settling.result(30)
        if isinstance(settling.exception(), psycopg.errors.DeadlockDetected | OperationalError):
            broken_off.append("settle")
            assert (Item.objects.get().state, Charge.objects.count()) == (ItemState.RUNNING, 0)
        thread.submit(close_own).result()
    assert len(broken_off) == 1
    settle_group(group, pump_id=PUMP, prices=BOOK)
    assert (Item.objects.get().state, Charge.objects.count(), Job.objects.get().done) == (ItemState.DONE, 1, 1)
