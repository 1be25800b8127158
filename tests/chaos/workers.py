"""Real workers on the test's own database, started as the stack starts them, with leases short enough for a test."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

import psutil
from django.db import connection

from apps.jobs.actions import sweep
from apps.jobs.models import Job, Pump
from apps.ops.domain.parts import platform_parts

ROOT = Path(__file__).resolve().parents[2]
QUICK = {
    "JOBS_LEASE_SECONDS": "4",
    "JOBS_RENEW_SECONDS": "1",
    "JOBS_MAX_IN_FLIGHT": "40",
    "JOBS_PUMPS_PER_HOST": "2",
    "JOBS_RETRY_BASE_SECONDS": "0.1",
}
# Where no pump is killed none is taken for lost, however busy the machine is.
PATIENT = {"JOBS_LEASE_SECONDS": "60"}


def own_database_url() -> str:
    parts = connection.get_connection_params()
    password = f":{quote(str(parts['password']), safe='')}" if parts.get("password") else ""
    return f"postgresql://{parts['user']}{password}@{parts['host']}:{parts['port']}/{parts['dbname']}"


@contextmanager
def worker(name: str, *, root: Path = ROOT, **settings: str) -> Iterator[psutil.Process]:
    """One worker set, of the code in `root`; whatever of it is still alive at the end is killed."""
    with TemporaryDirectory(prefix="chaos-") as home:
        parts = platform_parts(python=sys.executable, project=root, home=Path(home), port=1, flower_port=1, cores=2, worker_stop_seconds=30)
        part = next(part for part in parts if part.name == name)
        log = Path(home) / "worker.log"
        environment = os.environ | {"DATABASE_URL": own_database_url(), "AIPLATFORM_ROLE": name} | QUICK | settings
        with log.open("wb") as output:
            child = subprocess.Popen(
                part.command, cwd=root, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )
        try:
            until(lambda: " ready." in log.read_text(errors="replace"), "the worker started")
            yield psutil.Process(child.pid)
        except BaseException:
            # What the worker said is what explains a failure here.
            sys.stderr.write(log.read_text(errors="replace")[-8000:])
            raise
        finally:
            family = [psutil.Process(child.pid), *psutil.Process(child.pid).children(recursive=True)] if child.poll() is None else []
            for member in family:
                member.kill()
            child.wait()


@contextmanager
def web(port: int) -> Iterator[psutil.Process]:
    """One web process, as the stack starts it; killed at the end if it is still alive."""
    with TemporaryDirectory(prefix="chaos-") as home:
        parts = platform_parts(
            python=sys.executable, project=ROOT, home=Path(home), port=port, flower_port=1, cores=2, worker_stop_seconds=30
        )
        part = next(part for part in parts if part.name == "web")
        log = Path(home) / "web.log"
        environment = os.environ | {"DATABASE_URL": own_database_url(), "AIPLATFORM_ROLE": "web"}
        with log.open("wb") as output:
            child = subprocess.Popen(part.command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
        try:
            until(partial(_listens, port), f"the web process listened: {log.read_text(errors='replace')[-2000:]}")
            yield psutil.Process(child.pid)
        finally:
            child.kill()
            child.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def until(
    is_true: Callable[[], bool], what: str, *, seconds: float = 240, pause: float = 0.05, meanwhile: Callable[[], object] | None = None
) -> None:
    """Wait for something to become true, asked every `pause` seconds; `meanwhile` runs each second (a sweep, where no beat is running)."""
    deadline, next_at = time.monotonic() + seconds, 0.0
    while not is_true():
        assert time.monotonic() < deadline, f"it never came true that {what}"
        if meanwhile and time.monotonic() >= next_at:
            next_at = time.monotonic() + 1
            meanwhile()
        time.sleep(pause)


def run_out(job: Job, *, seconds: float = 300) -> None:
    """Sweep, as beat would, until every item of the job has ended."""

    def has_ended() -> bool:
        job.refresh_from_db()
        return job.done + job.dead >= job.total

    until(has_ended, "every item ended", seconds=seconds, meanwhile=sweep)


def claiming_pids(worker_set: str = "exec") -> list[int]:
    """Of the pumps that live: a killed one's row stays open until a sweep has seen that its lease is over."""
    pids = Pump.objects.filter(worker_set=worker_set, ended_at=None).values_list("pid", flat=True)
    return [pid for pid in pids if psutil.pid_exists(pid)]


def stop(process: psutil.Process) -> None:
    """Ask a worker to shut down and wait until it has."""
    process.send_signal(signal.SIGTERM)
    process.wait(240)
