"""Claims among very many items, half of them ended: they read as little as among few. MANY_ITEMS=10000000 for as many as one likes."""

import os
import time
from statistics import quantiles
from typing import Any

import pytest
from django.db import connection

from apps.jobs.actions.claim import Mark, claim_items
from apps.lib.ids import uuid7
from tests.chaos.tables import note
from tests.factories.accounts import make_workspace
from tests.factories.jobs import make_job, make_route
from tests.factories.volume import rows_read

pytestmark = [pytest.mark.django_db, pytest.mark.chaos, pytest.mark.long, pytest.mark.timeout(3600)]

FEW, MANY = 4_000, int(os.environ.get("MANY_ITEMS", "400000"))
JOBS, ROOM, CLAIMS = 20, 100, 15
COLUMNS = ("items", "ended", "claims", "rows read by one (p95)", "one took (p95)")
_FILL = """
INSERT INTO jobs_item (id, job_id, workspace_id, model_id, lane, position, custom_id, request_body_id, state, ended_at)
SELECT uuidv7(), %(job)s, %(workspace)s, %(model)s, 'default', n, 'line-' || n, '',
    CASE WHEN n %% 2 = 0 THEN 'done' ELSE 'waiting' END, CASE WHEN n %% 2 = 0 THEN now() END
FROM generate_series(1, %(items)s) AS n
"""


def fill(items: int) -> None:
    route = make_route()
    with connection.cursor() as cursor:
        # In files of its own: what was filled in before is not in its way.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; TRUNCATE jobs_item, jobs_job CASCADE; SET CONSTRAINTS ALL DEFERRED")
        for number in range(JOBS):
            workspace = make_workspace(f"workspace {number % 5}")
            job = make_job(workspace=workspace, done=0, dead=0, running=0, waiting=0, total=items // JOBS)
            values = {"job": job.id, "workspace": workspace.id, "model": route.model.id, "items": items // JOBS}
            cursor.execute(_FILL, values)
        cursor.execute("ANALYZE jobs_item, jobs_job")


def measure() -> tuple[float, float]:
    """(rows read by a claim, seconds), of nineteen in twenty at most; the first claims warm up."""
    read, took = [], []
    marks = dict[Any, Mark]()
    for _ in range(CLAIMS):
        before, began = rows_read("jobs_item"), time.perf_counter()
        claimed = claim_items(pump_id=uuid7(), lanes=("default", "bulk"), room=ROOM, batch_room=ROOM, turn=0, marks=marks)
        took.append(time.perf_counter() - began)
        read.append(rows_read("jobs_item") - before)
        assert len(claimed) == ROOM
        for item in claimed:
            marks[item.job_id] = max((item.ready_at, item.item_id), marks.get(item.job_id, (item.ready_at, item.item_id)))
    return quantiles(read, n=20)[-1], quantiles(took, n=20)[-1]


def test_a_claim_among_very_many_items_reads_as_little_as_among_few() -> None:
    found = []
    for items in (FEW, MANY):
        fill(items)
        read, took = measure()
        note("Claims among many items", COLUMNS, (f"{items:,}", f"{items // 2:,}", CLAIMS, f"{read:.0f}", f"{1000 * took:.1f} ms"))
        found.append(read)
    few, many = found
    assert many <= 1.2 * few
