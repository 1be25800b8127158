"""The whole stack as a program: what it started ends with it, however it ends, and its data stays."""

import os
import signal
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.chaos.stack import Stack

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]


def _everyone(pids: dict[str, int]) -> list[psutil.Process]:
    """The parts and all that they have started."""
    parts = [psutil.Process(pid) for pid in pids.values()]
    return list({process for part in parts for process in [part, *part.children(recursive=True)]})


def _have_ended(processes: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=60)
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


@pytest.mark.long
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


@pytest.mark.long
def test_a_killed_supervisor_leaves_nothing_and_the_next_one_starts(stack: Stack) -> None:
    first = stack.up()
    processes = _everyone(first["pids"])
    os.kill(first["pids"]["supervisor"], signal.SIGKILL)
    assert _have_ended(processes)
    second = stack.up()
    assert not set(first["pids"].values()) & set(second["pids"].values())
