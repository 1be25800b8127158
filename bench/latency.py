"""What the platform adds to a single call: idle, beside a bulk job, while pumps hand over; and what 300 waiting callers hold.

    python -m bench latency [--quick] [--calls 200] [--bulk-items 50000] [--idle-only]

Prints a table, and writes bench/results/<date>-latency.json. "Added" is the platform's percentile less the provider's own, asked directly.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp

from apps.jobs.actions import ring
from apps.jobs.models import Job
from bench.harness import MODEL, declare_model, fetch, make_job, make_key, prepare
from bench.meter import cpu_seconds, peak_memory
from bench.processes import Stack, simulator
from bench.report import machine, percentiles, print_table, write_results

MILLISECONDS = 50
WAITING_CALLERS = 300
HAND_OVER_SECONDS = 8
PROMPT, SLOW_PROMPT = "Say hello.", "Say hello, slowly. [[sim delay=4]]"


class Caller:
    """Makes calls through the platform, or to the provider itself."""

    def __init__(self, session: aiohttp.ClientSession, url: str, *, model: str = MODEL, prompt: str = PROMPT, secret: str = "") -> None:
        self.session, self.url = session, url
        self.body = {"model": model, "messages": [{"role": "user", "content": prompt}]}
        self.headers = {"Authorization": f"Bearer {secret}"}
        self.seconds: list[float] = []

    async def call(self) -> None:
        started = time.perf_counter()
        async with self.session.post(f"{self.url}/chat/completions", json=self.body, headers=self.headers) as answer:
            text = await answer.text()
            if answer.status != 200:
                sys.exit(f"{self.url} answered {answer.status}: {text[:300]}")
        self.seconds.append(time.perf_counter() - started)

    async def repeat(self, calls: int, *, callers: int = 1) -> dict[str, Any]:
        async def one() -> None:
            while len(self.seconds) < calls:
                await self.call()

        await asyncio.gather(*(one() for _ in range(callers)))
        return self.take()

    async def repeat_for(self, seconds: float) -> dict[str, Any]:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await self.call()
        return self.take()

    def take(self) -> dict[str, Any]:
        found, self.seconds = self.seconds, []
        return {"calls": len(found), **percentiles(found)}


async def beside_bulk(base_url: str, caller: Caller, items: int) -> dict[str, Any]:
    """Call for as long as a bulk job runs (one caller, as when idle)."""
    job = await asyncio.to_thread(start_bulk, base_url, items)
    started = time.monotonic()
    begun, begun_at = await _until_under_way(job.id), time.monotonic()
    while _state(job.id)[0] == "running":
        await caller.call()
    done = _state(job.id)[1]
    rate = round((done - begun) / (time.monotonic() - begun_at))
    return caller.take() | {"bulk_items_per_second": rate, "bulk_seconds": round(time.monotonic() - started, 1)}


def start_bulk(base_url: str, items: int) -> Job:
    """A job on the bulk lane, its pumps rung for."""
    workspace, model = declare_model(base_url)
    job = make_job(workspace, model, items=items, lane="bulk")
    ring(lane="bulk", job_id=job.id)
    return job


async def _until_under_way(job_id: object) -> int:
    while True:
        done = _state(job_id)[1]
        if done:
            return done
        await asyncio.sleep(0.1)


def _state(job_id: object) -> tuple[str, int]:
    row = fetch("SELECT status, done FROM jobs_job WHERE id = %s", job_id)[0]
    return row[0], row[1]


async def while_handing_over(stack: Stack, caller: Caller) -> dict[str, Any]:
    """Pumps that live only seconds: calls meet several that drain and give over."""
    await asyncio.to_thread(stack.stop, "exec-interactive")
    stack.start("exec-interactive", JOBS_PUMP_SECONDS=str(HAND_OVER_SECONDS))
    await caller.repeat(20)
    before = _pumps()
    found = await caller.repeat_for(HAND_OVER_SECONDS * 3.5)
    return found | {"hand_overs": _pumps() - before}


def _pumps() -> int:
    return int(fetch("SELECT count(*) FROM jobs_pump WHERE worker_set = 'exec-interactive' AND replaces_id IS NOT NULL")[0][0])


async def many_waiting(caller: Caller) -> dict[str, Any]:
    """300 callers of a slow model at once, and what the web process holds in Postgres meanwhile."""
    calls = [asyncio.create_task(caller.call()) for _ in range(WAITING_CALLERS)]
    most = running = 0
    while not all(call.done() for call in calls):
        row = await asyncio.to_thread(
            fetch,
            "SELECT (SELECT count(*) FROM pg_stat_activity WHERE application_name = 'web' AND datname = current_database()),"
            " (SELECT count(*) FROM jobs_item WHERE state = 'running')",
        )
        most, running = max(most, row[0][0]), max(running, row[0][1])
        await asyncio.sleep(0.05)
    await asyncio.gather(*calls)
    return caller.take() | {"most_connections_of_web": most, "most_running_at_once": running}


async def measure(stack: Stack, provider_url: str, secret: str, arguments: argparse.Namespace) -> dict[str, Any]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=2)) as session:
        caller = Caller(session, f"{stack.url}/v1", secret=secret)
        await until_serving(session, stack.url)
        await caller.repeat(30)
        cpu = cpu_seconds(stack.processes["web"])
        found: dict[str, Any] = {
            "provider": await Caller(session, provider_url, model="simulated").repeat(arguments.calls),
            "idle": await caller.repeat(arguments.calls),
            "web_cpu_ms_per_call": round((cpu_seconds(stack.processes["web"]) - cpu) / arguments.calls * 1000, 2),
            "idle_20_callers": await caller.repeat(arguments.calls * 5, callers=20),
        }
        if arguments.idle_only:
            return found
        return found | {
            "beside_bulk": await beside_bulk(provider_url, caller, arguments.bulk_items),
            "while_handing_over": await while_handing_over(stack, caller),
            "waiting_300": await many_waiting(Caller(session, f"{stack.url}/v1", prompt=SLOW_PROMPT, secret=secret)),
        }


async def until_serving(session: aiohttp.ClientSession, url: str) -> None:
    """Wait until the web process listens."""
    for _ in range(300):
        try:
            async with session.get(f"{url}/healthz") as answer:
                await answer.read()
                return
        except aiohttp.ClientConnectionError:
            await asyncio.sleep(0.1)
    sys.exit("The web process did not start within 30 s.")


def show(found: dict[str, Any]) -> None:
    phases = ("provider", "idle", "idle_20_callers", "beside_bulk", "while_handing_over", "waiting_300")
    rows: list[dict[str, Any]] = []
    for phase in phases:
        row = {"phase": phase} | {name: found[phase][name] for name in ("calls", "p50_ms", "p90_ms", "p99_ms", "max_ms")}
        if phase in found["added_p50_ms"]:
            added = found["added_p50_ms"][phase]
            row |= {"added_p50_ms": added, "times_idle": round(added / found["added_p50_ms"]["idle"], 1)}
        rows.append(row)
    print_table(rows)
    extras = ("web_cpu_ms_per_call", "peak_rss_mb")
    print(f"machine: {machine()}")
    print("; ".join(f"{name}: {found[name]}" for name in extras))
    bulk, over, waiting = found["beside_bulk"], found["while_handing_over"], found["waiting_300"]
    print(f"bulk meanwhile: {bulk['bulk_items_per_second']} items/s; hand-overs met: {over['hand_overs']}")
    print(f"{WAITING_CALLERS} waiting callers: at most {waiting['most_connections_of_web']} connections of the web process")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--bulk-items", type=int, default=50_000)
    parser.add_argument("--idle-only", action="store_true", help="for profiling: writes nothing")
    parser.add_argument("--quick", action="store_true", help="a tenth of the bulk job")
    arguments = parser.parse_args()
    arguments.bulk_items //= 10 if arguments.quick else 1
    prepare()
    found = run(arguments)
    if arguments.idle_only:
        print(found)
        return
    provider = found["provider"]["p50_ms"]
    found["added_p50_ms"] = {
        phase: round(found[phase]["p50_ms"] - provider, 1) for phase in ("idle", "idle_20_callers", "beside_bulk", "while_handing_over")
    }
    show(found)
    write_results("latency", found, quick=arguments.quick)


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Every measure, on a stack that lives as long."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-latency-") as name,
        simulator(latency=f"fixed:{MILLISECONDS}", folder=Path(name)) as (provider_url, provider),
        Stack(Path(name)) as stack,
    ):
        secret = make_key(declare_model(provider_url)[0])
        stack.start("web", "exec-interactive", "exec", "control", "ingest", "beat")
        stack.processes["provider"] = provider
        with peak_memory(stack.processes) as most:
            found = asyncio.run(measure(stack, provider_url, secret, arguments))
    return found | {"peak_rss_mb": {name: round(size / 2**20) for name, size in most.items()}}
