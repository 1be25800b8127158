"""What the throughput benchmark needs: the workers with their real options, the simulated provider, rows, and a meter."""

import json
import os
import platform
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aiplatform.settings")

import django  # noqa: E402 -- the settings' name comes first

django.setup()

import psutil  # noqa: E402 -- as above
from django.core.management import call_command  # noqa: E402 -- as above
from django.db import connection  # noqa: E402 -- as above

from apps.accounts.actions import ensure_workspace  # noqa: E402 -- as above
from apps.accounts.models import Workspace  # noqa: E402 -- as above
from apps.jobs.actions import ring  # noqa: E402 -- as above
from apps.jobs.models import Item, Job  # noqa: E402 -- as above
from apps.lib.ids import uuid7  # noqa: E402 -- as above
from apps.lib.ports import free_port  # noqa: E402 -- as above
from apps.lib.redis_client import redis_client  # noqa: E402 -- as above
from apps.ops.domain.parts import platform_parts  # noqa: E402 -- as above
from apps.providers.models import Model, Provider, Target  # noqa: E402 -- as above
from apps.spend.models import Price  # noqa: E402 -- as above
from apps.traces.actions import store_bodies  # noqa: E402 -- as above
from apps.traces.domain.bodies import make_body  # noqa: E402 -- as above

CHAT = "/v1/chat/completions"
MODEL = "bench"
_START_SECONDS = 60
_CHUNK = 5000
_FILLER = "Consider the following carefully and answer in one short sentence, without preamble or afterthought. " * 4


def prepare() -> None:
    """Tables, and an empty Redis database."""
    call_command("migrate", verbosity=0)
    redis_client().flushdb()
    forget_work()


def forget_work() -> None:
    """Empty the tables that grow, so that one measurement doesn't weigh on the next."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE jobs_item, jobs_job, traces_body, traces_run, traces_exchange, spend_charge CASCADE")


@contextmanager
def process(command: list[str], *, log: Path, ready: str, **environment: str) -> Iterator[psutil.Process]:
    """A child process, ended (and waited for) at the end; `ready` is a text in its output that says that it serves."""
    with log.open("wb") as output:
        child = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | environment, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
        )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while ready not in log.read_text(errors="replace"):
            if child.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{' '.join(command[:6])} did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)
        yield psutil.Process(child.pid)
    finally:
        child.terminate()
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


@contextmanager
def simulator(*, latency: str, folder: Path) -> Iterator[str]:
    """The simulated provider; yields its base URL (ending in /v1)."""
    port = free_port()
    command = [sys.executable, "manage.py", "simulate_provider", "--port", str(port), "--latency", latency]
    with process(command, log=folder / f"simulator-{port}.log", ready="listens"):
        yield f"http://127.0.0.1:{port}/v1"


@contextmanager
def exec_worker(*, folder: Path, **environment: str) -> Iterator[psutil.Process]:
    """The worker set that runs batches, as the stack starts it (without its niceness: nothing else runs here)."""
    parts = platform_parts(
        python=sys.executable, project=ROOT, home=folder, port=1, flower_port=1, cores=os.cpu_count() or 1, worker_stop_seconds=30
    )
    part = next(part for part in parts if part.name == "exec")
    settings = {"AIPLATFORM_ROLE": "exec", "LOG_LEVEL": "INFO"} | environment
    with process(list(part.command), log=folder / "exec.log", ready=" ready.", **settings) as worker:
        yield worker


def get_json(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def declare_model(base_url: str) -> tuple[Workspace, Model]:
    """The model `bench`, answered by the simulator at a price."""
    provider = Provider.objects.update_or_create(name="bench", defaults={"base_url": base_url})[0]
    model = Model.objects.get_or_create(name=MODEL)[0]
    Target.objects.get_or_create(model=model, provider=provider, upstream_model="simulated")
    prices = {"input_usd_per_million": Decimal("0.15"), "output_usd_per_million": Decimal("0.60")}
    Price.objects.get_or_create(
        provider_id=provider.id, upstream_model="simulated", effective_from=datetime(2020, 1, 1, tzinfo=UTC), defaults=prices
    )
    return ensure_workspace(name="bench"), model


def make_job(workspace: Workspace, model: Model, *, items: int, lane: str = "default") -> Job:
    """A running job as validation leaves it: about 500 bytes a request. Nothing is rung."""
    job = Job.objects.create(
        workspace=workspace, kind="batch", lane=lane, endpoint=CHAT, status="validating", total=items, started_at=datetime.now(UTC)
    )
    for first in range(0, items, _CHUNK):
        bodies = [
            make_body(workspace.id, json.dumps({"model": MODEL, "messages": [{"role": "user", "content": f"{_FILLER}{n}"}]}).encode())
            for n in range(first, min(first + _CHUNK, items))
        ]
        store_bodies(bodies)
        Item.objects.bulk_create(
            Item(
                id=uuid7(), job=job, workspace=workspace, model_id=model.id, lane=lane, position=first + n + 1,
                custom_id=f"line-{first + n + 1}", request_body_id=body.id,
            )
            for n, body in enumerate(bodies)
        )  # fmt: skip
    Job.objects.filter(id=job.id).update(status="running")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE jobs_item")
    return job


def wait_until_ended(job: Job, *, seconds: float) -> None:
    """Until every item has ended; gives up (loudly) after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        job.refresh_from_db(fields=["done", "dead"])
        if job.done + job.dead >= job.total:
            return
        if time.monotonic() > deadline:
            sys.exit(f"only {job.done + job.dead} of {job.total} items ended within {seconds:.0f} s")
        time.sleep(0.05)


@dataclass(slots=True)
class Reading:
    """CPU seconds of a worker (with its children) and of Postgres so far, the worker's biggest process, and the WAL position."""

    at: float
    worker_cpu: float
    postgres_cpu: float
    biggest_rss: int
    wal: int


def read_meter(worker: psutil.Process) -> Reading:
    family = [worker, *worker.children(recursive=True)]
    return Reading(
        at=time.perf_counter(),
        worker_cpu=sum(sum(member.cpu_times()[:2]) for member in family),
        postgres_cpu=_postgres_cpu(),
        biggest_rss=max(member.memory_info().rss for member in family),
        wal=_wal(),
    )


def _postgres_cpu() -> float:
    """Of the server that we are connected to and what it started, also of sessions that have ended; 0 when it runs elsewhere."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    server = psutil.Process(pid).parent() if psutil.pid_exists(pid) else None
    if server is None:
        return 0.0
    ended = server.cpu_times()
    living = sum(sum(member.cpu_times()[:2]) for member in server.children())
    return float(sum(ended[:4])) + living


def _wal() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")
        return int(cursor.fetchone()[0])


def write_results(name: str, results: dict[str, Any]) -> None:
    """Keep them as bench/results/<date>-<name>.json."""
    now = datetime.now(UTC)
    machine = {"cpus": os.cpu_count(), "memory_gb": round(psutil.virtual_memory().total / 1e9), "platform": platform.platform()}
    target = ROOT / "bench" / "results" / f"{now:%Y-%m-%d}-{name}.json"
    target.parent.mkdir(exist_ok=True)
    content = {"bench": name, "at": now.isoformat(timespec="seconds"), "machine": machine, **results}
    target.write_text(json.dumps(content, indent=2, default=str) + "\n")
    print(f"written to {target.relative_to(ROOT)}")


def print_table(rows: list[dict[str, Any]]) -> None:
    """A table in Markdown."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [names, *([str(row.get(name, "")) for name in names] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(names))]
    for number, row in enumerate(cells):
        print("| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |")
        if number == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")


__all__ = ["Job", "Reading", "ring"]
