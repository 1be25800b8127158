"""How late the first piece of a streamed answer arrives behind the provider's own, at 100 open streams; what 1,000 open ones hold.

    python -m bench streams [--quick]

Prints a table, and writes bench/results/<date>-streams.json. The provider stamps its first piece with the time; provider and callers share
one process, so that its own delays are in the figures. Twice: with 100 streams open all the time, of which one begins when another ends
(answers of 10 s, 20 pieces a second each); and with 100 that all begin in the same moment (60 pieces, 50 a second each), when there is
more to do than two cores can. Rates are those of whole answers.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from aiohttp import web

from apps.lib.ports import free_port
from bench.harness import MODEL, declare_model, make_key, prepare
from bench.latency import until_serving
from bench.meter import cpu_seconds
from bench.processes import Stack
from bench.report import machine, percentiles, print_table, write_results

AT_ONCE, ROUNDS, OPEN = 100, 5, 1000
PIECES, GAP_SECONDS, THINKS_SECONDS = 60, 0.02, 0.2
STEADY_PIECES, STEADY_GAP_SECONDS, STEADY_SECONDS = 200, 0.05, 40
_HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "bench"}


class Provider:
    """Streams its own clock first; the stream stays open while `holds`."""

    def __init__(self) -> None:
        self.holds = False
        self.open = 0
        self.pieces, self.gap_seconds = PIECES, GAP_SECONDS
        self.release = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await asyncio.sleep(THINKS_SECONDS)
        await response.prepare(request)
        await response.write(_event({"content": f"{time.time():.6f} "}))
        self.open += 1
        if self.holds:
            await self.release.wait()
        for _ in range(self.pieces):
            if not self.holds:
                await asyncio.sleep(self.gap_seconds)
            await response.write(_event({"content": "word "}))
        await response.write(_event({}, finish_reason="stop"))
        usage = {"prompt_tokens": 20, "completion_tokens": PIECES, "total_tokens": 20 + PIECES}
        await response.write(b"data: " + orjson.dumps(_HEAD | {"choices": [], "usage": usage}) + b"\n\ndata: [DONE]\n\n")
        await response.write_eof()
        return response

    @asynccontextmanager
    async def listening(self, port: int) -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, backlog=2048).start()
        try:
            yield
        finally:
            self.release.set()
            await runner.cleanup()


def _event(delta: dict[str, Any], *, finish_reason: str | None = None) -> bytes:
    return b"data: " + orjson.dumps(_HEAD | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}) + b"\n\n"


class Reader:
    """Reads streams; `late` is how far behind the provider's first piece ours arrived, in seconds."""

    def __init__(self, session: aiohttp.ClientSession, url: str, secret: str = "") -> None:
        self.session, self.url, self.headers = session, url, {"Authorization": f"Bearer {secret}"}
        self.late: list[float] = []
        self.begun = 0

    async def read(self, number: int) -> None:
        body = {"model": MODEL, "stream": True, "messages": [{"role": "user", "content": f"Speak. {number}"}]}
        is_first, text = True, b""
        async with self.session.post(f"{self.url}/chat/completions", json=body, headers=self.headers) as answer:
            answer.raise_for_status()
            async for line in answer.content:
                if is_first and line.startswith(b"data: {"):
                    now, is_first = time.time(), False
                    self.late.append(now - float(orjson.loads(line[6:])["choices"][0]["delta"]["content"]))
                    self.begun += 1
                text = line if line.strip() else text
        if text.strip() != b"data: [DONE]":
            message = f"a stream ended with {text[:300]!r}"
            raise RuntimeError(message)

    async def at_once(self, streams: int, rounds: int) -> dict[str, Any]:
        started = time.monotonic()
        for round_ in range(rounds):
            await asyncio.gather(*(self.read(round_ * streams + number) for number in range(streams)))
        seconds, found, self.late = time.monotonic() - started, self.late, []
        return {"streams": len(found), **percentiles(found), "pieces_per_second": round(len(found) * PIECES / seconds)}

    async def always(self, streams: int, seconds: float, lasts_seconds: float) -> dict[str, Any]:
        """So many open all the time; those are counted that begin once all are open."""
        started, begun = time.monotonic(), 0
        readers: list[asyncio.Task[None]] = []
        while (passed := time.monotonic() - started) < seconds:
            while begun < passed * streams / lasts_seconds:
                readers.append(asyncio.create_task(self.read(10_000 + begun)))
                begun += 1
            await asyncio.sleep(0.01)
        await asyncio.gather(*readers)
        found, self.late = self.late[streams:], []
        return {"streams": len(found), **percentiles(found), "pieces_per_second": round(streams * STEADY_PIECES / lasts_seconds)}


async def measure(stack: Stack, port: int, secret: str, rounds: int) -> dict[str, Any]:
    provider = Provider()
    connector, timeout = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=600)
    async with provider.listening(port), aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        await until_serving(session, stack.url)
        platform, itself = Reader(session, f"{stack.url}/v1", secret), Reader(session, f"http://127.0.0.1:{port}/v1")
        await platform.at_once(10, 2)
        platform.late.clear()
        provider.pieces, provider.gap_seconds = STEADY_PIECES, STEADY_GAP_SECONDS
        steady = (AT_ONCE, STEADY_SECONDS, THINKS_SECONDS + STEADY_PIECES * STEADY_GAP_SECONDS)
        found: dict[str, Any] = {
            "provider, 100 open all the time": await itself.always(*steady),
            "platform, 100 open all the time": await platform.always(*steady),
        }
        provider.pieces, provider.gap_seconds = PIECES, GAP_SECONDS
        web_process, worker = stack.processes["web"], stack.processes["exec-interactive"]
        before = cpu_seconds(web_process), cpu_seconds(worker)
        found |= {
            "provider, 100 at the same moment": await itself.at_once(AT_ONCE, rounds),
            "platform, 100 at the same moment": await platform.at_once(AT_ONCE, rounds),
        }
        streams = AT_ONCE * rounds
        found["web_cpu_ms_per_stream"] = round((cpu_seconds(web_process) - before[0]) / streams * 1000, 1)
        found["worker_cpu_ms_per_stream"] = round((cpu_seconds(worker) - before[1]) / streams * 1000, 1)
        return found | await _held_open(provider, platform, web_process)


async def _held_open(provider: Provider, platform: Reader, web_process: Any) -> dict[str, Any]:
    """All open at once, each with its first piece read."""
    provider.holds, provider.open, platform.begun = True, 0, 0
    before = web_process.memory_info().rss
    readers = [asyncio.create_task(platform.read(100_000 + number)) for number in range(OPEN)]
    while platform.begun < OPEN:
        await asyncio.sleep(0.1)
        for reader in readers:
            if reader.done():
                reader.result()
    held = web_process.memory_info().rss
    provider.release.set()
    await asyncio.gather(*readers)
    return {"open_streams": OPEN, "web_rss_mb": round(held / 2**20), "web_rss_before_mb": round(before / 2**20)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round in place of five")
    arguments = parser.parse_args()
    prepare()
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-streams-") as name, Stack(Path(name)) as stack:
        secret = make_key(declare_model(f"http://127.0.0.1:{port}/v1")[0])
        # One pump stands ready; by default its window is smaller than what is held open here.
        stack.start("web", "exec-interactive", "control", "beat", JOBS_MAX_IN_FLIGHT=str(OPEN + AT_ONCE))
        found = asyncio.run(measure(stack, port, secret, 1 if arguments.quick else ROUNDS))
    print_table([{"who": who, **told} for who, told in found.items() if isinstance(told, dict)])
    print(f"machine: {machine()}")
    print("; ".join(f"{name}: {value}" for name, value in found.items() if not isinstance(value, dict)))
    write_results("streams", found, quick=arguments.quick)
