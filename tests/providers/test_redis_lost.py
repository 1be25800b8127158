"""The limiter's Redis killed and started again: a safe part of the limits meanwhile, never none, and all of it afterwards."""

import asyncio
import os
import secrets
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from apps.lib.embedded import ValkeyServer, answers_ping, start_valkey, wait_until
from apps.lib.ports import free_port
from apps.lib.processes import stop_process
from apps.providers.actions import complete, open_session
from apps.providers.domain.limits import BucketLimits
from apps.providers.domain.outcomes import Outcome
from tests.factories.providers import clock, make_call, make_catalogue, make_gate
from tests.providers.storm import Upstream, serve, until

if TYPE_CHECKING:
    from subprocess import Popen


class Store:
    """A Valkey of its own that can be killed, stopped and started anew, empty."""

    def __init__(self, folder: Path) -> None:
        self.server = ValkeyServer(data=folder, port=free_port(), password=secrets.token_hex(16), durable=False)
        self.log = folder.with_suffix(".log").open("ab")
        self.start()

    def start(self) -> None:
        self.process: Popen[bytes] = start_valkey(self.server, log=self.log)
        wait_until(lambda: answers_ping(self.server.url), process=self.process, what="Valkey")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
async def store(tmp_path: Path, settings: Any) -> AsyncIterator[Store]:
    found = await asyncio.to_thread(Store, tmp_path / "valkey")
    settings.REDIS_URL = found.server.url
    yield found
    if found.process.poll() is None:
        os.kill(found.process.pid, signal.SIGCONT)
        await asyncio.to_thread(stop_process, found.process, stop_signal=signal.SIGTERM, grace_seconds=60)
    found.log.close()


@pytest.mark.parametrize("trouble", ["killed", "hung"])
async def test_without_redis_each_pump_keeps_to_half_of_its_part_and_goes_back_to_all_of_it(store: Store, trouble: str) -> None:
    async with serve(Upstream()) as upstream, open_session(max_connections=100) as session, make_gate() as first, make_gate() as second:
        route = upstream.route(provider=BucketLimits(requests_per_minute=1200))
        catalogue = make_catalogue(route)

        async def ask(calls: int) -> float:
            """Seconds that so many calls take, shared by both pumps."""
            started = time.monotonic()
            gates = [first, second]
            found = await asyncio.gather(
                *(complete(make_call(), session=session, catalogue=catalogue, clock=clock, gate=gates[n % 2]) for n in range(calls))
            )
            assert {completion.outcome for completion in found} == {Outcome.OK}
            return time.monotonic() - started

        await ask(4)
        await until(lambda: all(bucket.said.pumps == 2 for gate in (first, second) for bucket in gate.buckets.values()))
        if trouble == "killed":
            await asyncio.to_thread(store.kill)
        else:
            os.kill(store.process.pid, signal.SIGSTOP)
        # 20 a second in all, of which two pumps alone take 5 each; a second's worth may have been in hand.
        assert await ask(40) >= (40 - 2 * 5 - 20) / 10
        assert (first.is_cut_off, second.is_cut_off) == (True, True)
        alone = len(upstream.asked)
        await ask(20)
        assert len(upstream.asked) == alone + 20
        if trouble == "killed":
            await asyncio.to_thread(store.start)
        else:
            os.kill(store.process.pid, signal.SIGCONT)
        await ask(10)
        await until(lambda: not (first.is_cut_off or second.is_cut_off))
        assert await ask(30) >= (30 - 20) / 20


async def test_without_redis_what_nothing_bounds_goes_on(store: Store) -> None:
    async with serve(Upstream()) as upstream, open_session(max_connections=100) as session, make_gate() as gate:
        catalogue = make_catalogue(upstream.route())
        await asyncio.to_thread(store.kill)
        found = await asyncio.gather(
            *(complete(make_call(), session=session, catalogue=catalogue, clock=clock, gate=gate) for _ in range(50))
        )
    assert {completion.outcome for completion in found} == {Outcome.OK}
