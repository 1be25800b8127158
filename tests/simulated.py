"""The simulated provider as a process of its own, and what it has seen."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from apps.lib.ports import free_port

ROOT = Path(__file__).resolve().parents[1]
_PATIENCE_SECONDS = 60


class Simulator:
    """A client of the simulator's own pages."""

    def __init__(self, port: int) -> None:
        self.root = f"http://127.0.0.1:{port}"
        self.base_url = f"{self.root}/v1"

    def calls(self, *, top: int = 10) -> dict[str, Any]:
        return self._get(f"/sim/calls?top={top}")

    def stats(self) -> dict[str, Any]:
        return self._get("/sim/stats")

    def answers(self) -> dict[str, int]:
        """How often a run was answered well, by the hash of its id."""
        return self._get("/sim/answers")

    def usage(self) -> list[dict[str, Any]]:
        """What was delivered, by day and model."""
        rows: list[dict[str, Any]] = self._get("/sim/usage")["data"]
        return rows

    def usage_by_request(self) -> dict[str, list[int]]:
        """[answers, input tokens, output tokens] delivered to each run, by the hash of its id."""
        return self._get("/sim/usage?by=request")

    def usage_by_call(self) -> dict[str, Any]:
        """Day, model and tokens of each call that was delivered, by the hash of its request id."""
        return self._get("/sim/usage?by=call")

    def script(self, **values: Any) -> None:
        """Change how it behaves, from now on."""
        content = json.dumps(values).encode()
        urllib.request.urlopen(urllib.request.Request(f"{self.root}/sim/script", data=content), timeout=_PATIENCE_SECONDS).close()

    def reset(self) -> None:
        urllib.request.urlopen(urllib.request.Request(f"{self.root}/sim/reset", method="POST"), timeout=_PATIENCE_SECONDS).close()

    def behave(self, **values: Any) -> None:
        """Switch what it does from now on (docs/simulator.md)."""
        request = urllib.request.Request(f"{self.root}/sim/script", data=json.dumps(values).encode(), method="POST")
        urllib.request.urlopen(request, timeout=_PATIENCE_SECONDS).close()

    def _get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(self.root + path, timeout=_PATIENCE_SECONDS) as answer:
            found: dict[str, Any] = json.load(answer)
            return found


@contextmanager
def running_simulator(*options: str) -> Iterator[Simulator]:
    """A simulator of one's own."""
    port = free_port()
    command = [sys.executable, "manage.py", "simulate_provider", "--port", str(port), *options]
    with subprocess.Popen(command, cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert "listens" in process.stdout.readline()
        try:
            yield Simulator(port)
        finally:
            # Also after a failure: leaving waits for its end.
            process.terminate()


@pytest.fixture(scope="session")
def simulated_provider() -> Iterator[Simulator]:
    with running_simulator("--latency", "fixed:20") as simulator:
        yield simulator


@pytest.fixture
def simulator(simulated_provider: Simulator) -> Simulator:
    """The session's simulator, with its counts at zero."""
    simulated_provider.reset()
    return simulated_provider
