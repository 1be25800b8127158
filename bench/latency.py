"""What the platform adds to a single call: idle, beside a bulk job, while pumps hand over; and what 300 waiting callers hold.

    [DATABASE_URL=... REDIS_URL=...] python -m bench latency [--quick]
    [DATABASE_URL=... REDIS_URL=...] python -m bench.latency [--calls 200] [--bulk-items 50000]

Prints a table, and writes bench/results/<date>-latency.json. "Added" is the platform's percentile less the provider's own, asked directly.
"""

import argparse
import asyncio
import sys
import time
from typing import Any

import aiohttp

from bench.latency_stack import Stack, machine, make_batch, make_caller, make_model, percentiles, print_table, running_stack, write_result

MILLISECONDS = 50
WAITING_CALLERS = 300
HAND_OVER_SECONDS = 8
PROMPT, SLOW_PROMPT = "Say hello.", "Say hello, slowly. [[sim delay=4]]"


class Caller:
    """Makes calls through the platform, or to the provider itself."""

    def __init__(self, session: aiohttp.ClientSession, url: str, *, model: str = "small", prompt: str = PROMPT, secret: str = "") -> None:
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


async def beside_bulk(stack: Stack, caller: Caller, items: int) -> dict[str, Any]:
    """Call for as long as a bulk job runs (one caller, as when idle)."""
    job = await asyncio.to_thread(make_batch, items, model="small")
    started = time.monotonic()
    begun, begun_at = await _until_under_way(stack, job.id), time.monotonic()
    while _state(stack, job.id)[0] == "running":
        await caller.call()
    done = _state(stack, job.id)[1]
    rate = round((done - begun) / (time.monotonic() - begun_at))
    return caller.take() | {"bulk_items_per_second": rate, "bulk_seconds": round(time.monotonic() - started, 1)}


async def _until_under_way(stack: Stack, job_id: object) -> int:
    while True:
        done = _state(stack, job_id)[1]
        if done:
            return done
        await asyncio.sleep(0.1)


def _state(stack: Stack, job_id: object) -> tuple[str, int]:
    row = stack.fetch("SELECT status, done FROM jobs_job WHERE id = %s", job_id)[0]
    return row[0], row[1]


async def while_handing_over(stack: Stack, caller: Caller) -> dict[str, Any]:
    """Pumps that live only seconds: calls meet several that drain and give over."""
    await asyncio.to_thread(stack.stop, "exec-interactive")
    stack.start("exec-interactive", environment={"JOBS_PUMP_SECONDS": str(HAND_OVER_SECONDS)})
    await caller.repeat(20)
    before = _pumps(stack)
    found = await caller.repeat_for(HAND_OVER_SECONDS * 3.5)
    return found | {"hand_overs": _pumps(stack) - before}


def _pumps(stack: Stack) -> int:
    return int(stack.fetch("SELECT count(*) FROM jobs_pump WHERE worker_set = 'exec-interactive' AND replaces_id IS NOT NULL")[0][0])


async def many_waiting(stack: Stack, caller: Caller) -> dict[str, Any]:
    """300 callers of a slow model at once, and what the web process holds in Postgres meanwhile."""
    calls = [asyncio.create_task(caller.call()) for _ in range(WAITING_CALLERS)]
    most = running = 0
    while not all(call.done() for call in calls):
        row = await asyncio.to_thread(
            stack.fetch,
            "SELECT (SELECT count(*) FROM pg_stat_activity WHERE application_name = 'web' AND datname = current_database()),"
            " (SELECT count(*) FROM jobs_item WHERE state = 'running')",
        )
        most, running = max(most, row[0][0]), max(running, row[0][1])
        await asyncio.sleep(0.05)
    await asyncio.gather(*calls)
    return caller.take() | {"most_connections_of_web": most, "most_running_at_once": running}


async def measure(stack: Stack, secret: str, arguments: argparse.Namespace) -> dict[str, Any]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=2)) as session:
        caller = Caller(session, f"{stack.url}/v1", secret=secret)
        await until_serving(session, stack.url)
        await caller.repeat(30)
        cpu = stack.cpu_seconds("web")
        found: dict[str, Any] = {
            "provider": await Caller(session, stack.provider_url, model="simulated").repeat(arguments.calls),
            "idle": await caller.repeat(arguments.calls),
            "web_cpu_ms_per_call": round((stack.cpu_seconds("web") - cpu) / arguments.calls * 1000, 2),
            "idle_20_callers": await caller.repeat(arguments.calls * 5, callers=20),
        }
        if arguments.idle_only:
            return found
        found |= {
            "beside_bulk": await beside_bulk(stack, caller, arguments.bulk_items),
            "while_handing_over": await while_handing_over(stack, caller),
            "waiting_300": await many_waiting(stack, Caller(session, f"{stack.url}/v1", prompt=SLOW_PROMPT, secret=secret)),
        }
        stack.sample_memory()
        return found | {"peak_rss_mb": {name: round(size / 2**20) for name, size in stack.peak_rss.items()}}


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
    rows: list[tuple[str, ...]] = [("phase", "calls", "p50 ms", "p90 ms", "p99 ms", "max ms", "added p50 ms", "times idle's")]
    idle = found["added_p50_ms"]["idle"]
    for phase in phases:
        values, added = found[phase], found["added_p50_ms"].get(phase)
        figures = tuple(str(values[name]) for name in ("calls", "p50_ms", "p90_ms", "p99_ms", "max_ms"))
        rows.append((phase, *figures, "" if added is None else f"{added:.1f}", "" if added is None else f"{added / idle:.1f}"))
    print_table(rows)
    extras = ("web_cpu_ms_per_call", "peak_rss_mb")
    print(f"machine: {found['machine']}")
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
    with running_stack() as stack:
        secret = make_caller()
        make_model("small", base_url=stack.provider_url, upstream_model="simulated")
        stack.start("web", "exec-interactive", "exec", "control", "ingest", "beat")
        with stack.watch_memory():
            found = {"machine": machine(), **asyncio.run(measure(stack, secret, arguments))}
    if arguments.idle_only:
        print(found)
        return
    provider = found["provider"]["p50_ms"]
    found["added_p50_ms"] = {
        phase: round(found[phase]["p50_ms"] - provider, 1) for phase in ("idle", "idle_20_callers", "beside_bulk", "while_handing_over")
    }
    show(found)
    print(f"written to {write_result('latency', found)}")


if __name__ == "__main__":
    main()
