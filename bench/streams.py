"""How late the first piece of a streamed answer arrives behind the provider's own, at 100 open streams; what 1,000 open ones hold.

    python -m bench streams [--quick]

Prints a table, and writes bench/results/<date>-streams.json. Provider and callers are processes of their own: the provider stamps its first
piece with the time, and the kernel of the callers tells when it arrived, whenever they read it. Twice: with 100 streams open all the
time, of which one begins when another ends (answers of 10 s, 20 pieces a second each); and with 100 that all begin in the same moment
(60 pieces, 50 a second each), when there is more to do than two cores can. Rates are those of whole answers.
"""

import argparse
import asyncio
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import aiohttp

from apps.lib.ports import free_port
from bench.harness import MODEL, declare_model, make_key, prepare
from bench.latency import until_serving
from bench.meter import cpu_seconds
from bench.processes import Stack, process
from bench.report import machine, percentiles, print_table, write_results
from bench.stream_provider import THINKS_SECONDS
from bench.stream_reader import StreamReader

AT_ONCE, ROUNDS, OPEN = 100, 5, 1000
PIECES, GAP_SECONDS = 60, 0.02
STEADY_PIECES, STEADY_GAP_SECONDS, STEADY_SECONDS = 200, 0.05, 40


async def at_once(reader: StreamReader, streams: int, rounds: int) -> dict[str, Any]:
    """So many begin in the same moment, `rounds` times."""
    started = time.monotonic()
    for round_ in range(rounds):
        await asyncio.gather(*(reader.read(round_ * streams + number, pieces=PIECES, gap=GAP_SECONDS) for number in range(streams)))
    seconds, found, reader.late = time.monotonic() - started, reader.late, []
    return {"streams": len(found), **percentiles(found), "pieces_per_second": round(len(found) * PIECES / seconds)}


async def always(reader: StreamReader, streams: int, seconds: float) -> dict[str, Any]:
    """So many open all the time; those are counted that begin once all are open."""
    lasts_seconds = THINKS_SECONDS + STEADY_PIECES * STEADY_GAP_SECONDS
    started, begun = time.monotonic(), 0
    readers: list[asyncio.Task[None]] = []
    while (passed := time.monotonic() - started) < seconds:
        while begun < passed * streams / lasts_seconds:
            readers.append(asyncio.create_task(reader.read(10_000 + begun, pieces=STEADY_PIECES, gap=STEADY_GAP_SECONDS)))
            begun += 1
        await asyncio.sleep(0.01)
    await asyncio.gather(*readers)
    found, reader.late = reader.late[streams:], []
    return {"streams": len(found), **percentiles(found), "pieces_per_second": round(streams * STEADY_PIECES / lasts_seconds)}


async def measure(stack: Stack, provider_url: str, secret: str, arguments: argparse.Namespace) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session:
        await until_serving(session, stack.url)
    platform, itself = StreamReader(f"{stack.url}/v1", MODEL, secret), StreamReader(f"{provider_url}/v1", MODEL)
    await at_once(platform, 10, 2)
    found: dict[str, Any] = {
        "provider, 100 open all the time": await always(itself, AT_ONCE, STEADY_SECONDS),
        "platform, 100 open all the time": await always(platform, AT_ONCE, STEADY_SECONDS),
    }
    web_process, worker = stack.processes["web"], stack.processes["exec-interactive"]
    before, rounds = (cpu_seconds(web_process), cpu_seconds(worker)), 1 if arguments.quick else ROUNDS
    found |= {
        "provider, 100 at the same moment": await at_once(itself, AT_ONCE, rounds),
        "platform, 100 at the same moment": await at_once(platform, AT_ONCE, rounds),
    }
    streams = AT_ONCE * rounds
    found["web_cpu_ms_per_stream"] = round((cpu_seconds(web_process) - before[0]) / streams * 1000, 1)
    found["worker_cpu_ms_per_stream"] = round((cpu_seconds(worker) - before[1]) / streams * 1000, 1)
    return found | await _held_open(provider_url, platform, web_process)


async def _held_open(provider_url: str, platform: StreamReader, web_process: Any) -> dict[str, Any]:
    """All open at once, each with its first piece read."""
    platform.begun, before = 0, web_process.memory_info().rss
    readers = [asyncio.create_task(platform.read(100_000 + number, holds=True)) for number in range(OPEN)]
    while platform.begun < OPEN:
        await asyncio.sleep(0.1)
        for reader in readers:
            if reader.done():
                reader.result()
    held = web_process.memory_info().rss
    await asyncio.to_thread(urllib.request.urlopen, urllib.request.Request(f"{provider_url}/release", method="POST"), timeout=60)
    await asyncio.gather(*readers)
    return {"open_streams": OPEN, "web_rss_mb": round(held / 2**20), "web_rss_before_mb": round(before / 2**20)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round in place of five")
    arguments = parser.parse_args()
    prepare()
    port = free_port()
    provider_url, provider = f"http://127.0.0.1:{port}", [sys.executable, "-m", "bench.stream_provider", str(port)]
    with (
        tempfile.TemporaryDirectory(prefix="bench-streams-") as name,
        process(provider, log=Path(name) / "provider.log", ready="Running on"),
        Stack(Path(name)) as stack,
    ):
        secret = make_key(declare_model(f"{provider_url}/v1")[0])
        # One pump stands ready; by default its window is smaller than what is held open here.
        stack.start("web", "exec-interactive", "control", "beat", JOBS_MAX_IN_FLIGHT=str(OPEN + AT_ONCE))
        found = asyncio.run(measure(stack, provider_url, secret, arguments))
    print_table([{"who": who, **told} for who, told in found.items() if isinstance(told, dict)])
    print(f"machine: {machine()}")
    print("; ".join(f"{name}: {value}" for name, value in found.items() if not isinstance(value, dict)))
    write_results("streams", found, quick=arguments.quick)
