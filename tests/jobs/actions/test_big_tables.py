"""A claim and a group cost what they touch, not what the table holds: the rows that Postgres reads for them are counted."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from django.db import connection

from apps.jobs.actions.claim import Mark, claim_items, ready_lanes
from apps.jobs.actions.settle import settle_group
from apps.jobs.domain.claimed import ClaimedItem, Finished
from apps.jobs.models import Job
from apps.providers.domain.calls import Completion
from apps.providers.domain.outcomes import Outcome
from apps.spend.domain.pricing import PriceBook
from tests.jobs.rows import make_job

pytestmark = pytest.mark.django_db
PUMP = UUID(int=1)
ROOM = 20
# A claim reads each item a few times: to look whether there is any, to lock it, to change it; and versions that tests before have
# left behind until a vacuum. Whoever reads what they needn't reads a thousand and more.
ALLOWED = 25 * ROOM


def make_big_job() -> Job:
    """4,000 items, and a planner that knows it and thinks that none of them runs."""
    job = make_job(prompts=["same"] * 4000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE jobs_item")
    return job


def rows_read() -> int:
    """Rows and index entries of items that this transaction has read."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(pg_stat_get_xact_tuples_returned(oid)) FROM pg_class"
            " WHERE oid = 'jobs_item'::regclass OR oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = 'jobs_item'::regclass)"
        )
        return int(cursor.fetchone()[0])


def claim(marks: dict[UUID, Mark]) -> list[ClaimedItem]:
    claimed = claim_items(pump_id=PUMP, lanes=("default", "bulk"), room=ROOM, batch_room=ROOM, turn=0, marks=marks)
    assert len(claimed) == ROOM
    return claimed


def test_a_claim_reads_little_of_a_big_job() -> None:
    job = make_big_job()
    last = claim({})[-1]
    for marks in ({}, {job.id: (last.ready_at, last.item_id)}):
        before = rows_read()
        claim(marks)
        assert rows_read() - before <= ALLOWED


def test_a_look_for_work_reads_little_of_a_big_job() -> None:
    make_big_job()
    before = rows_read()
    assert ready_lanes(("default", "bulk")) == ["default"]
    assert rows_read() - before <= ALLOWED


def test_a_group_is_settled_without_reading_the_other_running_items() -> None:
    make_big_job()
    for _ in range(50):
        claimed = claim({})
    answer = Completion(outcome=Outcome.REJECTED, error_code="invalid", error_message="No.")
    before = rows_read()
    settled = settle_group(
        [Finished(item=item, completion=answer, ended_at=datetime.now(UTC)) for item in claimed], pump_id=PUMP, prices=PriceBook([])
    )
    assert len(settled) == ROOM
    assert rows_read() - before <= ALLOWED
