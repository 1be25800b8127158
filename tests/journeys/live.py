"""Parts of a stack as real processes on the test database, and the simulator, for journeys that need sockets."""

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from django.db import connection

from apps.lib.ports import free_port
from apps.lib.processes import start_process, stop_process
from apps.lib.redis_client import redis_client
from apps.ops.domain.parts import platform_parts
from tests.architecture.source import ROOT

_READY_SECONDS = 240


@dataclass(frozen=True, slots=True)
class Live:
    """Where the parts are found."""

    url: str
    provider_url: str
    pids: dict[str, int]
    flower_url: str = ""


@contextmanager
def running_parts(folder: Path, *names: str, latency: str = "fixed:20", **settings: str) -> Iterator[Live]:
    """Run parts of a stack with their real flags, and a simulated provider beside them."""
    port = free_port()
    provider_port = free_port(taken=[port])
    flower_port = free_port(taken=[port, provider_port])
    parts = platform_parts(
        python=sys.executable, project=ROOT, home=folder, port=port, flower_port=flower_port, cores=1, worker_stop_seconds=10
    )
    commands = {part.name: part.command for part in parts}
    simulate = ("simulate_provider", "--port", str(provider_port), "--latency", latency)
    commands["simulator"] = (sys.executable, str(ROOT / "manage.py"), *simulate)
    database_url = f"{os.environ['DATABASE_URL'].rpartition('/')[0]}/{connection.settings_dict['NAME']}"
    pids: dict[str, int] = {}
    with ExitStack() as stack:
        # Rings that nobody heard are for jobs that the next test does not have.
        stack.callback(redis_client().flushdb)
        for name in ("simulator", *names):
            environment = dict(os.environ) | {"DATABASE_URL": database_url, "AIPLATFORM_ROLE": name} | settings
            log = stack.enter_context((folder / f"{name}.log").open("wb"))
            process = start_process(commands[name], environment=environment, folder=ROOT, output=log)
            stack.callback(stop_process, process, stop_signal=signal.SIGTERM, grace_seconds=15)
            pids[name] = process.pid
        _wait_for(provider_port, folder / "simulator.log")
        if "web" in names:
            _wait_for(port, folder / "web.log")
        if "flower" in names:
            _wait_for(flower_port, folder / "flower.log")
        provider_url, flower_url = f"http://127.0.0.1:{provider_port}/v1", f"http://127.0.0.1:{flower_port}/flower"
        yield Live(url=f"http://127.0.0.1:{port}", provider_url=provider_url, pids=pids, flower_url=flower_url)


def _wait_for(port: int, log: Path) -> None:
    until = time.monotonic() + _READY_SECONDS
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    message = f"Nothing listens on {port}: {log.read_text()[-2000:]}"
    raise TimeoutError(message)
