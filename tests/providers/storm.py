"""Providers that fail for a while, and pumps of a test that carry items through gates as the real ones do."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import aiohttp
from aiohttp import web

from apps.jobs.domain.retry import Decision, Policy, Tries, next_step
from apps.providers.actions import Gate, complete, open_session
from apps.providers.domain.calls import Completion, Route
from apps.providers.domain.limits import BucketLimits
from tests.factories.providers import MODEL_ID, clock, make_call, make_catalogue, make_gate, make_route

ANSWER = {
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 20, "completion_tokens": 30, "total_tokens": 50},
}


class Upstream:
    """A provider that answers with `status`, and remembers when it was asked and how many calls it held at once."""

    def __init__(self) -> None:
        self.status, self.headers = 200, dict[str, str]()
        self.body: Any = None
        # What a prompt that makes it fail has in it.
        self.poison = b"poison"
        self.asked: list[float] = []
        self.keys: list[str] = []
        self.now = self.most = 0
        self.latency = 0.0
        self.base_url = ""
        # Answers nothing while it is not set.
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.asked.append(time.monotonic())
        self.keys.append(request.headers.get("Authorization", "").removeprefix("Bearer "))
        self.now += 1
        self.most = max(self.most, self.now)
        status, headers = 500 if self.poison in body else self.status, self.headers
        try:
            if self.latency:
                await asyncio.sleep(self.latency)
            await self.may_answer.wait()
        finally:
            self.now -= 1
        if status != 200:
            return web.json_response(self.body or {"error": {"message": "no"}}, status=status, headers=headers)
        return web.json_response(ANSWER, headers=headers)

    def route(self, *, provider: BucketLimits | None = None, **values: Any) -> Route:
        return make_route(
            self.base_url,
            **(
                {"provider_id": uuid4(), "target_id": uuid4(), "upstream_model": "m", "provider_limits": provider or BucketLimits()}
                | values
            ),
        )


@asynccontextmanager
async def serve(upstream: Upstream) -> AsyncIterator[Upstream]:
    app = web.Application()
    app.router.add_post("/v1/chat/completions", upstream.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        upstream.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        yield upstream
    finally:
        await runner.cleanup()


@dataclass(slots=True)
class Item:
    """One item, how often it was tried, and what it came to."""

    tries: Tries = field(default_factory=Tries)
    prompt: str = "hello"
    completion: Completion | None = None
    decision: Decision | None = None
    ended_at: float = 0.0


class Pumps:
    """So many items carried by several gates, each with a window; what is to be tried again waits outside of any slot."""

    def __init__(self, items: int, routes: Sequence[Route], *, gates: int = 2, window: int = 25, policy: Policy | None = None) -> None:
        self.items = [Item() for _ in range(items)]
        self.ready = deque(self.items)
        self.waiting: list[tuple[float, Item]] = []
        self.routes = routes
        self.catalogue = make_catalogue(*routes)
        self.window = window
        self.policy = policy or Policy(base_seconds=0.1)
        self.longest_wait = float("inf")
        self.gates = [make_gate() for _ in range(gates)]
        self.ended: list[Item] = []

    async def run(self) -> None:
        async with AsyncExitStack() as stack:
            session = await stack.enter_async_context(open_session(max_connections=200))
            for gate in self.gates:
                await stack.enter_async_context(gate)
            await asyncio.gather(*(self._pump(gate, session) for gate in self.gates))

    @property
    def most_in_flight(self) -> int:
        """What all windows hold. Of that a slow machine has only a part at the provider's at any one moment."""
        return self.window * len(self.gates)

    @property
    def in_flight(self) -> int:
        return sum(bucket.held for gate in self.gates for bucket in gate.buckets.values() if bucket.has_breaker)

    def are_closed(self, route: Route) -> bool:
        """Every gate knows that nobody gets through, and nothing is in the air."""
        return self.in_flight == 0 and not any(gate.is_open(route) for gate in self.gates)

    def dead(self) -> int:
        return sum(item.decision is Decision.DEAD for item in self.items)

    def exchanges(self) -> list[Any]:
        return [exchange for item in self.items if item.completion for exchange in item.completion.exchanges]

    async def _pump(self, gate: Gate, session: aiohttp.ClientSession) -> None:
        running: set[asyncio.Task[None]] = set()
        while len(self.ended) < len(self.items):
            now = time.monotonic()
            self.ready.extend(item for at, item in self.waiting if at <= now)
            self.waiting = [(at, item) for at, item in self.waiting if at > now]
            room = min(self.window - len(running), gate.allowances(self.catalogue).get(MODEL_ID, self.window))
            for _ in range(min(room, len(self.ready))):
                task = asyncio.create_task(self._carry(self.ready.popleft(), gate, session))
                running.add(task)
                task.add_done_callback(running.discard)
            # As often as a real pump settles a group.
            await asyncio.sleep(0.03)
        await asyncio.gather(*running)

    async def _carry(self, item: Item, gate: Gate, session: aiohttp.ClientSession) -> None:
        completion = await complete(make_call(item.prompt), session=session, catalogue=self.catalogue, clock=clock, gate=gate)
        step = next_step(
            completion.outcome, item.tries, self.policy, chance=0.5,
            retry_after_seconds=completion.retry_after_seconds, is_probe=completion.is_probe,
        )  # fmt: skip
        item.tries, item.completion = step.tries, completion
        if step.decision in {Decision.DONE, Decision.DEAD}:
            item.decision, item.ended_at = step.decision, time.monotonic()
            self.ended.append(item)
        else:
            self.waiting.append((time.monotonic() + min(step.delay_seconds, self.longest_wait), item))


async def until(is_true: Any, *, seconds: float = 120) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.005)


async def shift(pumps: Pumps, route: Route, **fields: float) -> None:
    """Put a target's bucket into a state of another time, and let every gate hear of it."""
    await pumps.gates[0].shared.redis.hset(f"limits:{{target:{route.target_id.hex}}}", mapping=fields)
    for gate in pumps.gates:
        for bucket in gate.buckets.values():
            bucket.next_at = bucket.blocked_until = 0.0
        gate.wake()


@asynccontextmanager
async def hurried(pumps: Pumps, route: Route) -> AsyncIterator[None]:
    """What a breaker waits for, open or in its slow start, is over within a tenth of a second."""

    async def hurry() -> None:
        while True:
            await asyncio.sleep(0.1)
            await shift(pumps, route, open_until=0)
            if any(bucket.said.is_slow for gate in pumps.gates for bucket in gate.buckets.values()):
                await shift(pumps, route, slow_from=1)

    pumps.longest_wait = 0.3
    hurrying = asyncio.create_task(hurry())
    try:
        yield
    finally:
        hurrying.cancel()
        await asyncio.gather(hurrying, return_exceptions=True)


async def ask(session: aiohttp.ClientSession, gate: Gate, *routes: Route) -> Completion:
    """One call through this gate, by a catalogue of these routes."""
    return await complete(make_call(), session=session, catalogue=make_catalogue(*routes), clock=clock, gate=gate)
