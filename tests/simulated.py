"""The simulated provider as a process of its own, and what it has seen."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.lib.ports import free_port

ROOT = Path(__file__).resolve().parents[1]


class Simulator:
    """A client of the simulator's own pages."""

    def __init__(self, port: int) -> None:
        self.root = f"http://127.0.0.1:{port}"
        self.base_url = f"{self.root}/v1"

    def calls(self, *, top: int = 10) -> dict[str, Any]:
        return self._get(f"/sim/calls?top={top}")

    def stats(self) -> dict[str, Any]:
        return self._get("/sim/stats")

    def reset(self) -> None:
        urllib.request.urlopen(urllib.request.Request(f"{self.root}/sim/reset", method="POST"), timeout=10).close()

    def _get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(self.root + path, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
            return found


@pytest.fixture(scope="session")
def simulated_provider() -> Iterator[Simulator]:
    port = free_port()
    command = [sys.executable, "manage.py", "simulate_provider", "--port", str(port), "--latency", "fixed:20"]
    with subprocess.Popen(command, cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert "listens" in process.stdout.readline()
        yield Simulator(port)
        process.terminate()


@pytest.fixture
def simulator(simulated_provider: Simulator) -> Simulator:
    """The session's simulator, with its counts at zero."""
    simulated_provider.reset()
    return simulated_provider
