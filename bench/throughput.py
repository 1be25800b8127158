"""How many items a second, with everything recorded, beside a bare client that keeps nothing and a Celery task per item."""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from apps.jobs.actions import ring
from apps.jobs.models import Job
from bench import ROOT
from bench.harness import declare_model, forget_work, make_budgets, make_job, prepare, wait_until_ended
from bench.meter import Reading, read_meter
from bench.processes import exec_worker, get_json, process, simulator
from bench.report import print_table, write_results

IN_FLIGHT = 500  # a pump; two pumps
SLOTS = 1000


def run_job(
    base_url: str, *, items: int, worker: psutil.Process, seconds: float = 600, is_bounded: bool = False
) -> tuple[Job, Reading, Reading]:
    """One job from ring to the last settled item; `is_bounded`: with a budget on each of four levels, none of which is used up."""
    forget_work()
    workspace, model = declare_model(base_url)
    job = make_job(workspace, model, items=items, feature="bench")
    if is_bounded:
        make_budgets(job)
    before = read_meter(worker)
    ring(lane="default", job_id=job.id)
    wait_until_ended(job, seconds=seconds)
    return job, before, read_meter(worker)


def measure(name: str, latency: str, items: int, folder: Path, *, ceiling: float | None = None) -> dict[str, Any]:
    """The platform on one scenario."""
    with (
        simulator(latency=latency, folder=folder) as (base_url, _),
        exec_worker(folder=folder, JOBS_MAX_IN_FLIGHT=str(IN_FLIGHT), JOBS_PUMPS_PER_HOST="2") as worker,
    ):
        job, before, after = run_job(base_url, items=items, worker=worker)
        calls = get_json(base_url.removesuffix("/v1") + "/sim/calls")
    seconds = after.at - before.at
    return {
        "what": name,
        "items": items,
        **_costs(before, after, items=items),
        "share_of_ceiling": round(items / seconds / ceiling, 3) if ceiling else "",
        "biggest_process_mb": round(after.biggest_rss / 1e6),
        "provider_calls": calls["total"],
        "dead": job.dead,
    }


def measure_bare(latency: str, items: int, folder: Path) -> dict[str, Any]:
    """Asyncio and aiohttp, nothing stored: what the same calls cost without a platform."""
    with simulator(latency=latency, folder=folder) as (base_url, _):
        done = subprocess.run(
            [sys.executable, "-m", "bench.peer_bare", base_url, str(items), str(SLOTS)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
    rate, cpu = map(float, done.stdout.split())
    return {
        "what": f"bare aiohttp client, stores nothing, {latency}",
        "items": items,
        "items_per_second": round(rate),
        "worker_cpu_ms_per_item": round(cpu * 1000, 3),
    }


def measure_task_per_item(latency: str, items: int, folder: Path) -> dict[str, Any]:
    """One Celery task per item with the OpenAI SDK, 50 threads, results kept in Redis."""
    with simulator(latency=latency, folder=folder) as (base_url, _):
        command = [sys.executable, "-m", "celery", "-A", "bench.peer_task", "worker", "-Q", "peer", "-P", "threads", "-c", "50"]
        command += ["--without-gossip", "--without-mingle", "-l", "INFO"]
        with process(command, log=folder / "peer.log", ready=" ready.", environment={"PEER_BASE_URL": base_url}) as worker:
            from bench.peer_task import ask  # noqa: PLC0415 -- reads the environment

            before = read_meter(worker)
            started = time.perf_counter()
            pending = [ask.delay(f"prompt {n}") for n in range(items)]
            for result in pending:
                result.get(timeout=300)
            seconds = time.perf_counter() - started
            after = read_meter(worker)
    return {
        "what": f"one Celery task per item, OpenAI SDK, {latency}",
        "items": items,
        "items_per_second": round(items / seconds),
        "worker_cpu_ms_per_item": round((after.worker_cpu - before.worker_cpu) / items * 1000, 3),
        "biggest_process_mb": round(after.biggest_rss / 1e6),
    }


def measure_slots(folder: Path, *, seconds: float) -> dict[str, Any]:
    """Which share of the slots is in use with latencies as in real life: log-normal, median 3 s, 99th percentile 30 s."""
    with (
        simulator(latency="lognormal:3000:30000", folder=folder) as (base_url, _),
        exec_worker(folder=folder, JOBS_MAX_IN_FLIGHT=str(IN_FLIGHT), JOBS_PUMPS_PER_HOST="2") as worker,
    ):
        forget_work()
        workspace, model = declare_model(base_url)
        job = make_job(workspace, model, items=int(seconds * 300) + 2 * SLOTS)
        ring(lane="default", job_id=job.id)
        time.sleep(10)  # until the window has filled
        root = base_url.removesuffix("/v1")
        before = get_json(f"{root}/sim/stats")
        time.sleep(seconds)
        after = get_json(f"{root}/sim/stats")
        biggest = read_meter(worker).biggest_rss
        Job.objects.filter(id=job.id).update(status="paused")
    elapsed = after["elapsed_seconds"] - before["elapsed_seconds"]
    used = (after["in_flight_seconds"] - before["in_flight_seconds"]) / (elapsed * SLOTS)
    return {
        "what": "slots in use, log-normal latencies (median 3 s, p99 30 s)",
        "seconds": round(elapsed),
        "share_of_slots": round(used, 3),
        "biggest_process_mb": round(biggest / 1e6),
    }


def measure_growth(folder: Path, *, big: int) -> dict[str, Any]:
    """What an item costs (CPU of workers and Postgres) in one big job, and in jobs of 1,000 before and after it.

    Pumps outlive the pauses between the jobs, so that starting one is not counted against the small ones.
    """
    small: list[list[float]] = []
    large: list[list[float]] = []
    with (
        simulator(latency="fixed:50", folder=folder) as (base_url, _),
        exec_worker(folder=folder, JOBS_MAX_IN_FLIGHT=str(IN_FLIGHT), JOBS_PUMPS_PER_HOST="2", JOBS_IDLE_SECONDS="60") as worker,
    ):
        run_job(base_url, items=2000, worker=worker)
        for costs, items in [*[(small, 1000)] * 15, (large, big), *[(small, 1000)] * 15]:
            _, before, after = run_job(base_url, items=items, worker=worker)
            spent = (after.worker_cpu - before.worker_cpu, after.postgres_cpu - before.postgres_cpu)
            costs.append([seconds / items * 1000 for seconds in spent])
    worker_small, postgres_small = (sum(column) / len(small) for column in zip(*small, strict=True))
    worker_big, postgres_big = large[0]
    return {
        "what": f"CPU an item, jobs of 1,000 and of {big:,}",
        "worker_ms_small": round(worker_small, 3),
        "postgres_ms_small": round(postgres_small, 3),
        "worker_ms_big": round(worker_big, 3),
        "postgres_ms_big": round(postgres_big, 3),
        "growth": round((worker_big + postgres_big) / (worker_small + postgres_small) - 1, 3),
    }


def measure_budgets(folder: Path, *, items: int, rounds: int) -> dict[str, Any]:
    """What budgets on four levels (platform, workspace, feature, job) cost: jobs with them and without, in turn."""
    rows: list[dict[str, Any]] = []
    with (
        simulator(latency="fixed:50", folder=folder) as (base_url, _),
        exec_worker(folder=folder, JOBS_MAX_IN_FLIGHT=str(IN_FLIGHT), JOBS_PUMPS_PER_HOST="2", JOBS_IDLE_SECONDS="60") as worker,
    ):
        for is_bounded in (False, True):
            run_job(base_url, items=2000, worker=worker, is_bounded=is_bounded)
        for number in range(2 * rounds):
            # With, without, without, with: whatever drifts weighs on both alike.
            is_bounded = number % 4 in {0, 3}
            _, before, after = run_job(base_url, items=items, worker=worker, is_bounded=is_bounded)
            rows.append({"levels": 4 if is_bounded else 0} | _costs(before, after, items=items))
    print_table(rows)
    without, bounded = ([row for row in rows if row["levels"] == levels] for levels in (0, 4))
    medians = {name: [median(row[name] for row in side) for side in (without, bounded)] for name in rows[0] if name != "levels"}
    pairs = [with_["items_per_second"] / bare["items_per_second"] for bare, with_ in zip(without, bounded, strict=True)]
    return {
        "what": f"budgets on four levels, {rounds} jobs of {items:,} each way, medians",
        "slower": round(1 - medians["items_per_second"][1] / medians["items_per_second"][0], 3),
        "slower_in_pairs": [round(1 - pair, 3) for pair in pairs],
        **{f"{name}_{side}": values[n] for name, values in medians.items() for n, side in enumerate(("without", "with"))},
        "jobs": rows,
    }


def _costs(before: Reading, after: Reading, *, items: int) -> dict[str, float]:
    """What an item of a job has taken."""
    return {
        "items_per_second": round(items / (after.at - before.at)),
        "worker_cpu_ms_per_item": round((after.worker_cpu - before.worker_cpu) / items * 1000, 3),
        "postgres_cpu_ms_per_item": round((after.postgres_cpu - before.postgres_cpu) / items * 1000, 3),
        "wal_bytes_per_item": round((after.wal - before.wal) / items),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=("rate", "slots", "growth", "budgets"))
    arguments = parser.parse_args()
    scale = 10 if arguments.quick else 1
    prepare()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="bench-throughput-") as name:
        folder = Path(name)
        if arguments.only in {None, "rate"}:
            rows = [
                measure("platform, 50 ms", "fixed:50", 20_000 // scale, folder),
                measure("platform, 1 s, 1,000 in flight", "fixed:1000", 10_000 // scale, folder, ceiling=SLOTS),
                measure_bare("fixed:50", 20_000 // scale, folder),
                measure_bare("fixed:1000", 10_000 // scale, folder),
                measure_task_per_item("fixed:50", 2_000 // scale, folder),
            ]
            ours = rows[0]["items_per_second"]
            for row in rows:
                row["platform_50ms_is_times"] = round(ours / row["items_per_second"], 2)
            print_table(rows)
            results["rates"] = rows
        if arguments.only in {None, "slots"}:
            results["slots"] = measure_slots(folder, seconds=300 / scale)
            print_table([results["slots"]])
        if arguments.only in {None, "growth"}:
            results["growth"] = measure_growth(folder, big=200_000 // scale)
            print_table([results["growth"]])
        if arguments.only in {None, "budgets"}:
            results["budgets"] = measure_budgets(folder, items=20_000 // scale, rounds=6)
            print_table([{name: value for name, value in results["budgets"].items() if name != "jobs"}])
    forget_work()
    write_results("throughput" if arguments.only is None else f"throughput-{arguments.only}", results, quick=arguments.quick)
