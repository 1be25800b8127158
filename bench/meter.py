"""What processes and Postgres have used so far."""

import resource
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
from django.db import connection

_SAMPLE_SECONDS = 0.2


@dataclass(slots=True)
class Reading:
    """CPU seconds of a worker (with its children) and of Postgres so far, the worker's biggest process, and the WAL position."""

    at: float
    worker_cpu: float
    postgres_cpu: float
    biggest_rss: int
    wal: int


def read_meter(worker: psutil.Process) -> Reading:
    return Reading(
        at=time.perf_counter(),
        worker_cpu=cpu_seconds(worker),
        postgres_cpu=_postgres_cpu(),
        biggest_rss=biggest_rss(worker),
        wal=wal_bytes(),
    )


def cpu_seconds(process: psutil.Process) -> float:
    """What it has used with its children, also with those that have ended."""
    ended = process.cpu_times()
    living = 0.0
    for child in process.children(recursive=True):
        with _gone_is_nothing():
            living += sum(child.cpu_times()[:2])
    return float(sum(ended[:4])) + living


def biggest_rss(process: psutil.Process) -> int:
    """Bytes of the biggest single process among it and its children; 0 when it has ended."""
    most = 0
    with _gone_is_nothing():
        for member in [process, *process.children(recursive=True)]:
            with _gone_is_nothing():
                most = max(most, member.memory_info().rss)
    return most


def own_peak_rss() -> int:
    """The most bytes that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def wal_bytes() -> int:
    """How much Postgres has written to its log so far."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")
        return int(cursor.fetchone()[0])


def _postgres_cpu() -> float:
    """Of the server that we are connected to and what it started, also of sessions that have ended; 0 when it runs elsewhere."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    server = psutil.Process(pid).parent() if psutil.pid_exists(pid) else None
    return cpu_seconds(server) if server else 0.0


@contextmanager
def peak_memory(processes: Mapping[str, psutil.Process]) -> Iterator[dict[str, int]]:
    """Sample in a thread while the block runs: the biggest single process of each name, in bytes. Names may come and go."""
    most: dict[str, int] = {}
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_SAMPLE_SECONDS):
            for name, process in list(processes.items()):
                most[name] = max(most.get(name, 0), biggest_rss(process))

    thread = threading.Thread(target=watch, name="memory")
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()


@contextmanager
def _gone_is_nothing() -> Iterator[None]:
    try:
        yield
    except psutil.NoSuchProcess:
        return
