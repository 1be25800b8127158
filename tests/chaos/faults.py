"""Faults for a stack that runs: each a verb that does harm and says what it did."""

import json
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import psutil
import psycopg
import redis

from tests.simulated import Simulator

WORKERS = ("exec", "exec", "exec-interactive", "ingest", "control")
STORMS = ("429:0.5", "500:0.3", "429:0.2,500:0.2,hang:0.01", "cut:0.05,reset:0.1", "hang:0.02,reset_body:0.02")


@dataclass
class Target:
    """A stack's home, the provider that it calls, and what is to happen later: a stopped process goes on, a storm is over."""

    home: Path
    simulator: Simulator
    chance: Random
    lease_seconds: float
    later: list[tuple[float, Callable[[], object]]] = field(default_factory=list)
    deck: list[str] = field(default_factory=list)

    def state(self) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = json.loads((self.home / "stack.json").read_text())
        return found

    def part(self, name: str) -> psutil.Process:
        return psutil.Process(int(self.state()["pids"][name][0]))

    def database_url(self) -> str:
        return self.state()["environment"]["DATABASE_URL"]

    def pump(self) -> psutil.Process:
        """A process that runs a pump; any child of its worker while Postgres doesn't say which."""
        with suppress(psycopg.Error), psycopg.connect(self.database_url(), connect_timeout=2) as connection:
            rows = connection.execute("SELECT pid FROM jobs_pump WHERE ended_at IS NULL AND worker_set = 'exec' ORDER BY id").fetchall()
            if rows:
                return psutil.Process(self.chance.choice(rows)[0])
        return self.chance.choice(self.part("exec").children())

    def after(self, seconds: float, what: Callable[[], object]) -> None:
        self.later.append((time.monotonic() + seconds, what))

    def do_what_is_due(self, *, all_of_it: bool = False) -> None:
        now = time.monotonic()
        due = [entry for entry in self.later if all_of_it or entry[0] <= now]
        self.later = [entry for entry in self.later if entry not in due]
        for _, what in due:
            with suppress(psutil.NoSuchProcess, ProcessLookupError):
                what()


def kill_pump(target: Target) -> str:
    """One pump's process."""
    pump = target.pump()
    pump.kill()
    return f"pump {pump.pid}"


def kill_worker(target: Target) -> str:
    """A whole worker set, parent and children."""
    name = target.chance.choice(WORKERS)
    worker = target.part(name)
    for process in [worker, *worker.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    return name


def stop_pump(target: Target) -> str:
    """SIGSTOP beyond the lease, then SIGCONT: what it wakes up with is no longer its own."""
    pump = target.pump()
    pump.suspend()
    seconds = target.lease_seconds + target.chance.uniform(1, 4)
    target.after(seconds, pump.resume)
    return f"pump {pump.pid} for {seconds:.1f} s"


def kill_valkey(target: Target) -> str:
    target.part("valkey").kill()
    return "SIGKILL"


def hang_valkey(target: Target) -> str:
    """It takes connections and never answers."""
    valkey = target.part("valkey")
    valkey.suspend()
    seconds = target.chance.uniform(3, 9)
    target.after(seconds, valkey.resume)
    return f"{seconds:.1f} s"


def flush_valkey(target: Target) -> str:
    with suppress(redis.RedisError), redis.Redis.from_url(target.state()["environment"]["REDIS_URL"], socket_timeout=2) as client:
        client.flushall()
    return "FLUSHALL"


def restart_postgres(target: Target) -> str:
    """Its immediate stop: all sessions end in the middle, nothing is written out; then it recovers from its log."""
    target.part("postgres").send_signal(signal.SIGQUIT)
    return "immediate"


def terminate_backends(target: Target) -> str:
    with suppress(psycopg.Error), psycopg.connect(target.database_url(), autocommit=True, connect_timeout=2) as connection:
        row = connection.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).fetchone()
        return f"{row[0] if row else 0} sessions"
    return "Postgres was down"


def storm(target: Target) -> str:
    """The provider throttles, fails, hangs or breaks off for some seconds."""
    shares, seconds = target.chance.choice(STORMS), target.chance.uniform(4, 10)
    target.simulator.script(fail=shares)
    target.after(seconds, lambda: target.simulator.script(fail=""))
    return f"{shares} for {seconds:.1f} s"


FAULTS: dict[str, Callable[[Target], str]] = {
    "pump killed": kill_pump,
    "worker killed": kill_worker,
    "pump stopped": stop_pump,
    "Valkey killed": kill_valkey,
    "Valkey hung": hang_valkey,
    "Valkey emptied": flush_valkey,
    "Postgres restarted": restart_postgres,
    "sessions ended": terminate_backends,
    "provider storm": storm,
}


def strike(target: Target) -> tuple[str, str]:
    """A fault, and what it did; another one when there was nobody to harm. By chance, and each comes before any comes again."""
    while True:
        if not target.deck:
            target.deck = target.chance.sample(list(FAULTS), len(FAULTS))
        name = target.deck.pop()
        with suppress(psutil.NoSuchProcess, IndexError):
            return name, FAULTS[name](target)
