"""How long ten items of one workspace take while another has a million waiting, beside what they take on an idle system."""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from django.db import connection

from apps.accounts.actions import ensure_workspace
from apps.accounts.models import Workspace
from apps.jobs.actions import ring
from apps.jobs.models import Job
from apps.providers.models import Model
from bench.harness import declare_model, forget_work, make_job, prepare, wait_until_ended
from bench.processes import exec_worker, simulator
from bench.report import print_table, write_results

ITEMS = 10
ROUNDS = 7
_MULTIPLY = """
INSERT INTO jobs_item (id, job_id, workspace_id, model_id, lane, position, custom_id, request_body_id, state)
SELECT uuidv7(), job_id, workspace_id, model_id, lane, n, 'line-' || n, request_body_id, 'waiting'
FROM jobs_item CROSS JOIN generate_series(2, %s) AS n WHERE job_id = %s
"""


def make_crowd(workspace: Workspace, model: Model, *, items: int) -> Job:
    """A running job of `items` equal requests."""
    job = make_job(workspace, model, items=1)
    with connection.cursor() as cursor:
        cursor.execute(_MULTIPLY, [items, job.id])
        cursor.execute("VACUUM ANALYZE jobs_item")
    Job.objects.filter(id=job.id).update(total=items)
    return job


def time_few(workspace: Workspace, model: Model) -> list[float]:
    """Seconds from the ring to the last settled item, for several jobs one after another."""
    taken = []
    for _ in range(ROUNDS):
        job = make_job(workspace, model, items=ITEMS)  # claimable from its last statement on
        started = time.perf_counter()
        ring(lane="default", job_id=job.id)
        wait_until_ended(job, seconds=120)
        taken.append(time.perf_counter() - started)
    return taken


def measure(latency: str, folder: Path, *, crowd: int) -> dict[str, Any]:
    with simulator(latency=latency, folder=folder) as (base_url, _), exec_worker(folder=folder, JOBS_PUMPS_PER_HOST="2"):
        forget_work()
        busy, model = declare_model(base_url)
        small = ensure_workspace(name="small")
        time_few(small, model)
        alone = time_few(small, model)
        job = make_crowd(busy, model, items=crowd)
        ring(lane="default", job_id=job.id)
        while job.done < 3000:
            time.sleep(0.5)
            job.refresh_from_db(fields=["done"])
        beside = time_few(small, model)
        Job.objects.filter(id=job.id).update(status="paused")
    idle, busy_median = statistics.median(alone), statistics.median(beside)
    return {
        "what": f"{ITEMS} items, {latency}, beside {crowd:,} of another workspace",
        "alone_seconds": round(idle, 2),
        "beside_seconds": round(busy_median, 2),
        "beside_worst_seconds": round(max(beside), 2),
        "times": round(busy_median / idle, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    crowd = 100_000 if parser.parse_args().quick else 1_000_000
    quick = crowd < 1_000_000
    prepare()
    with tempfile.TemporaryDirectory(prefix="bench-fairness-") as name:
        rows = [measure(latency, Path(name), crowd=crowd) for latency in ("fixed:1000", "fixed:50")]
    print_table(rows)
    forget_work()
    write_results("fairness", {"rows": rows}, quick=quick)
