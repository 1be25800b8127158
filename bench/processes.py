"""The processes that are measured: the platform's parts with the command lines of a real stack, and the simulated provider."""

import json
import os
import signal
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import psutil

from apps.lib.ports import free_port
from apps.lib.processes import start_process, stop_process
from apps.ops.domain.parts import Part, platform_parts
from bench import ROOT

_START_SECONDS = 60
_STOP_SECONDS = 30


@contextmanager
def process(
    command: Sequence[str], *, log: Path, ready: str = "", nice: int = 0, environment: Mapping[str, str] | None = None
) -> Iterator[psutil.Process]:
    """A child process, ended (and waited for) at the end; `ready` is a text in its output that says that it serves."""
    with log.open("wb") as output:
        child = start_process(command, environment={**os.environ, **(environment or {})}, folder=ROOT, output=output, nice=nice)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while ready not in log.read_text(errors="replace"):
            if child.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"{' '.join(command[:6])} did not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.1)
        yield psutil.Process(child.pid)
    finally:
        stop_process(child, stop_signal=signal.SIGTERM, grace_seconds=_STOP_SECONDS)


@contextmanager
def simulator(*, latency: str, folder: Path, script: str = "") -> Iterator[tuple[str, psutil.Process]]:
    """The simulated provider; yields its base URL (ending in /v1) and its process."""
    port = free_port()
    command = [sys.executable, "manage.py", "simulate_provider", "--port", str(port), "--latency", latency, "--script", script]
    with process(command, log=folder / f"simulator-{port}.log", ready="listens") as server:
        yield f"http://127.0.0.1:{port}/v1", server


def stack_parts(folder: Path, *, port: int = 1) -> dict[str, Part]:
    """The platform's processes by name; `port` is the web process's."""
    parts = platform_parts(
        python=sys.executable,
        project=ROOT,
        home=folder,
        port=port,
        flower_port=1,
        cores=os.cpu_count() or 1,
        worker_stop_seconds=_STOP_SECONDS,
    )
    return {part.name: part for part in parts}


@contextmanager
def exec_worker(*, folder: Path, **environment: str) -> Iterator[psutil.Process]:
    """The worker set that runs batches, as the stack starts it (without its niceness: nothing else runs here)."""
    settings = {"AIPLATFORM_ROLE": "exec", "LOG_LEVEL": "INFO"} | environment
    with process(stack_parts(folder)["exec"].command, log=folder / "exec.log", ready=" ready.", environment=settings) as worker:
        yield worker


class Stack:
    """Parts of the platform that run together and may be stopped one by one; a context manager that ends what still runs."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.folder = folder
        self.url = f"http://127.0.0.1:{port}"
        self.processes: dict[str, psutil.Process] = {}
        self._parts = stack_parts(folder, port=port)
        self._running: dict[str, ExitStack] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for name in reversed(list(self._running)):
            self.stop(name)

    def start(self, *names: str, **environment: str) -> None:
        """Start parts as a real stack does, niceness included; doesn't wait until they serve."""
        for name in names:
            part = self._parts[name]
            settings = {"AIPLATFORM_ROLE": name} | environment
            running = ExitStack()
            log = self.folder / f"{name}.log"
            self.processes[name] = running.enter_context(process(part.command, log=log, nice=part.nice, environment=settings))
            self._running[name] = running

    def stop(self, name: str) -> None:
        """End a part, as a stack does."""
        del self.processes[name]
        self._running.pop(name).close()


def get_json(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
        return found
