"""The whole stack as a program: what it started ends with it, however it ends, and its data stays."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from apps.lib.ports import free_port

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]


class Stack:
    """`manage.py` with a home and ports of its own, without the local model."""

    def __init__(self, home: Path) -> None:
        outside = {name: value for name, value in os.environ.items() if name not in {"DATABASE_URL", "REDIS_URL", "SECRET_KEY"}}
        own = {
            "AIPLATFORM_HOME": str(home),
            "AIPLATFORM_PORT": str(free_port()),
            "AIPLATFORM_FLOWER_PORT": str(free_port()),
            "AIPLATFORM_LOCAL_MODEL": "off",
        }
        self.environment = outside | own

    def manage(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "manage.py", *arguments]
        return subprocess.run(
            command, env=self.environment | environment, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )

    def up(self) -> dict:
        done = self.manage("up", "--detach")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    made = Stack(tmp_path / "a home")
    yield made
    made.manage("down")


def _everyone(pids: dict[str, int]) -> list[psutil.Process]:
    """The parts and all that they have started."""
    parts = [psutil.Process(pid) for pid in pids.values()]
    return list({process for part in parts for process in [part, *part.children(recursive=True)]})


def _have_ended(processes: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=20)
    return all(process.status() == psutil.STATUS_ZOMBIE for process in alive)


def test_up_status_down_and_up_again_with_its_data(stack: Stack) -> None:
    first = stack.up()
    assert set(first) == {"url", "admin_url", "flower_url", "database_url", "redis_url", "pids"}
    assert stack.manage("status").returncode == 0
    with psycopg.connect(first["database_url"], autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    processes = _everyone(first["pids"])
    assert stack.manage("down").returncode == 0
    assert _have_ended(processes)
    status = stack.manage("status")
    assert status.returncode == 1
    assert "No stack runs in" in status.stderr
    second = stack.up()
    with psycopg.connect(second["database_url"]) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (7,)


def test_a_second_up_and_a_busy_port_are_refused_and_leave_the_first_alone(stack: Stack, tmp_path: Path) -> None:
    first = stack.up()
    again = stack.manage("up")
    assert (again.returncode, again.stdout) == (1, "")
    assert "already runs in" in again.stderr
    elsewhere = stack.manage("up", AIPLATFORM_HOME=str(tmp_path / "other"))
    assert elsewhere.returncode == 1
    assert "AIPLATFORM_PORT" in elsewhere.stderr
    assert stack.manage("status").returncode == 0
    assert all(psutil.pid_exists(pid) for pid in first["pids"].values())


def test_a_killed_supervisor_leaves_nothing_and_the_next_one_starts(stack: Stack) -> None:
    first = stack.up()
    processes = _everyone(first["pids"])
    os.kill(first["pids"]["supervisor"], signal.SIGKILL)
    assert _have_ended(processes)
    second = stack.up()
    assert not set(first["pids"].values()) & set(second["pids"].values())
