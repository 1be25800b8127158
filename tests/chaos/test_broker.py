"""The broker emptied, killed again and again, cut off without a word, hung and full: pumps go on, nothing is lost, new work begins."""

import secrets
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import openai
import pytest
import redis

from apps.lib.embedded import ValkeyServer, answers_ping, start_valkey, wait_until
from apps.lib.ports import free_port
from apps.lib.processes import stop_process
from tests.chaos import traffic
from tests.chaos.reckoning import reckon_stack
from tests.chaos.soak import SETTINGS
from tests.chaos.stack import Stack
from tests.chaos.tables import note
from tests.chaos.wire import Wire, wired
from tests.chaos.workers import until
from tests.simulated import Simulator, running_simulator

if TYPE_CHECKING:
    from subprocess import Popen

pytestmark = [pytest.mark.chaos, pytest.mark.long, pytest.mark.timeout(900)]

ITEMS = 3000
HUNG_SECONDS = 60.0
RESUMED_SECONDS = 30.0
COLUMNS = ("the broker", "items", "done meanwhile", "resumed after", "calls", "lost", "taken back")


class Broker:
    """A Valkey that keeps its data, behind a wire."""

    def __init__(self, folder: Path) -> None:
        self.server = ValkeyServer(data=folder, port=free_port(), password=secrets.token_hex(16))
        self.log = folder.with_suffix(".log").open("ab")
        self.start()

    def start(self) -> None:
        self.process: Popen[bytes] = start_valkey(self.server, log=self.log)
        wait_until(lambda: answers_ping(self.server.url), process=self.process, what="Valkey")

    def stop(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        stop_process(self.process, stop_signal=signal.SIGTERM, grace_seconds=10)
        self.log.close()

    def url(self, port: int) -> str:
        return self.server.url.replace(f":{self.server.port}/", f":{port}/")

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.server.url)


@dataclass
class Scene:
    """A stack at work, and what it works through."""

    stack: Stack
    broker: Broker
    wire: Wire
    simulator: Simulator
    client: openai.OpenAI
    database_url: str
    batches: int = 0
    items: int = 0

    def submit(self, number: int) -> None:
        self.batches, self.items = self.batches + 1, self.items + number
        traffic.submit(self.client, f"batch-{self.batches}", number)

    def counts(self) -> traffic.Counts:
        found = traffic.count(self.database_url)
        assert found
        return found

    def done(self) -> int:
        return self.counts().done


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("broker")
    with ExitStack() as ending:
        simulator = ending.enter_context(running_simulator("--latency", "fixed:1500"))
        broker = Broker(folder / "valkey")
        ending.callback(broker.stop)
        wire = ending.enter_context(wired(broker.server.port))
        stack = Stack(folder / "home")
        stack.environment |= SETTINGS | {"REDIS_URL": broker.url(wire.port), "JOBS_MAX_IN_FLIGHT": "40"}
        ending.callback(stack.manage, "down")
        up = stack.up()
        traffic.declare(stack, simulator)
        client = ending.enter_context(traffic.client_of(stack, up["url"]))
        yield Scene(stack, broker, wire, simulator, client, up["database_url"])


def empty(scene: Scene) -> None:
    with scene.broker.client() as client:
        client.flushall()


def kill_five_times(scene: Scene) -> None:
    for _ in range(5):
        scene.broker.process.kill()
        scene.broker.process.wait()
        done = scene.done()
        until(lambda done=done: scene.done() > done + 40, "pumps went on without a broker")
        scene.broker.start()


def leave_half_open(scene: Scene) -> None:
    assert scene.wire.go_dead() > 0


def hang(scene: Scene) -> None:
    scene.broker.process.send_signal(signal.SIGSTOP)
    until_at, done = time.monotonic() + HUNG_SECONDS, scene.done()
    while time.monotonic() < until_at:
        until(lambda done=done: scene.done() > done, "pumps went on without a broker", seconds=30)
        done = scene.done()
    scene.broker.process.send_signal(signal.SIGCONT)


def fill(scene: Scene) -> None:
    with scene.broker.client() as client:
        client.config_set("maxmemory", "1")
        done = scene.done()
        until(lambda: scene.done() > done + 200, "pumps went on with a full broker")
        client.config_set("maxmemory", "0")


FAULTS: dict[str, tuple[int, Callable[[Scene], None]]] = {
    "emptied": (1000, empty),
    "killed five times": (2500, kill_five_times),
    "half-open": (1000, leave_half_open),
    "hung for a minute": (5000, hang),
    "full": (2000, fill),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_pumps_go_on_and_new_work_is_taken_up(fault: str, scene: Scene) -> None:
    items, strike = FAULTS[fault]
    before = scene.counts()
    scene.submit(items)
    until(lambda: scene.done() >= before.done + items // 10, "a part was done")
    at = scene.done()
    strike(scene)
    meanwhile, mended_at = scene.done() - at, time.monotonic()
    # Everything goes on: what is there, and what comes now.
    scene.submit(20)
    until(lambda: scene.counts().open_jobs < 2, "one of the batches ended, so that the way from validation to files is whole", seconds=120)
    resumed = time.monotonic() - mended_at
    until(lambda: scene.counts().open_jobs == 0, "all work ended", seconds=200)
    after, calls = scene.counts(), scene.simulator.calls()["total"]
    row = (fault, items + 20, meanwhile, f"{resumed:.1f} s", calls - before.done, scene.items - after.done, after.losses - before.losses)
    note("The broker", COLUMNS, row)
    assert (after.done, after.dead, after.losses) == (scene.items, 0, before.losses)
    assert calls == scene.items
    assert resumed <= RESUMED_SECONDS
    checked = scene.stack.manage("check_invariants", "--at-rest")
    assert checked.returncode == 0, checked.stdout
    reckon_stack(scene.stack, scene.simulator)
