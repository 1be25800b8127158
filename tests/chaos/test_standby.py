"""Fail-over to a standby that lacks the last rows: they are worked off again, and in what is left nothing is lost or doubled."""

import os
import pwd
import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import psycopg
import pytest

from apps.lib.embedded import (
    PostgresServer,
    answers_sql,
    bare_environment,
    init_postgres,
    open_database,
    postgres_program,
    start_postgres,
    wait_until,
)
from apps.lib.ports import free_port
from apps.lib.processes import UNPRIVILEGED_USER, start_process, stop_process
from tests.chaos import traffic
from tests.chaos.reckoning import prove_stack
from tests.chaos.soak import SETTINGS
from tests.chaos.stack import Stack
from tests.chaos.tables import note
from tests.chaos.wire import wired
from tests.chaos.workers import until
from tests.simulated import running_simulator

pytestmark = [pytest.mark.chaos, pytest.mark.long, pytest.mark.timeout(900)]

ITEMS = 1500
WINDOW = 40
PUMPS = 2
COLUMNS = ("the old one", "items", "rows lost in the window", "lost", "charged twice", "extra calls", "went on after")


@contextmanager
def running(server: PostgresServer, folder: Path) -> Iterator[int]:
    """The server's process."""
    with (folder / f"postgres-{server.port}.log").open("wb") as log:
        process = start_postgres(server, log=log)
        try:
            wait_until(lambda: answers_sql(server.admin_url("template1")), process=process, what="Postgres")
            yield process.pid
        finally:
            stop_process(process, stop_signal=signal.SIGINT, grace_seconds=10)


@contextmanager
def primary_and_standby(folder: Path) -> Iterator[tuple[PostgresServer, PostgresServer, int]]:
    """A server, one that follows it (asynchronously, as Postgres does by itself), and the first one's process."""
    with ExitStack() as ending:
        primary = PostgresServer(
            data=folder / "primary", port=free_port(), admin_password=secrets.token_hex(16), password=secrets.token_hex(16)
        )
        init_postgres(primary)
        pid = ending.enter_context(running(primary, folder))
        open_database(primary)
        standby = replace(primary, data=folder / "standby", port=free_port(taken=[primary.port]))
        follow(primary, standby, folder)
        ending.enter_context(running(standby, folder))
        yield primary, standby, pid


def follow(primary: PostgresServer, standby: PostgresServer, folder: Path) -> None:
    standby.data.mkdir(mode=0o700)
    if os.geteuid() == 0:
        user = pwd.getpwnam(UNPRIVILEGED_USER)
        os.chown(standby.data, user.pw_uid, user.pw_gid)
    command = [postgres_program("pg_basebackup"), "-D", str(standby.data), "-d", primary.admin_url("postgres"), "-R", "-c", "fast"]
    with (folder / "basebackup.log").open("wb") as log:
        copying = start_process(command, environment=bare_environment(), folder=Path("/"), output=log, unprivileged=True)
        assert copying.wait(120) == 0, (folder / "basebackup.log").read_text()


def tell(server: PostgresServer, *statements: str) -> None:
    with psycopg.connect(server.admin_url("postgres"), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.unwitnessed("what the first server wrote last, the standby never had: runs that were answered, and are unknown now")
def test_what_a_standby_lacks_is_done_again_and_nothing_is_lost_or_charged_twice(tmp_path: Path) -> None:
    with ExitStack() as ending:
        primary, standby, pid = ending.enter_context(primary_and_standby(tmp_path))
        wire = ending.enter_context(wired(primary.port))
        simulator = ending.enter_context(running_simulator("--latency", "fixed:800"))
        stack = Stack(tmp_path / "home")
        stack.environment |= SETTINGS | {"JOBS_MAX_IN_FLIGHT": str(WINDOW), "JOBS_PUMPS_PER_HOST": str(PUMPS)}
        stack.environment["DATABASE_URL"] = replace(primary, port=wire.port).url()
        ending.callback(stack.manage, "down")
        up = stack.up()
        traffic.declare(stack, simulator)
        traffic.submit(ending.enter_context(traffic.client_of(stack, up["url"])), "standby", ITEMS)
        until(lambda: done(primary) >= ITEMS // 10, "a part was done", seconds=90)

        tell(standby, "ALTER SYSTEM SET primary_conninfo = ''", "SELECT pg_reload_conf()")
        at = done(primary)
        until(lambda: done(primary) >= at + 3 * WINDOW, "more was done that the standby lacks")
        told = done(primary)
        kill(pid)
        wire.upstream = standby.port
        tell(standby, "SELECT pg_promote()")
        struck_at, left = time.monotonic(), done(standby)
        until(lambda: done(standby) > left, "it goes on", seconds=120)
        seconds = time.monotonic() - struck_at
        until(lambda: counts(standby).open_jobs == 0, "all work ended", seconds=180)
        after, extra = counts(standby), simulator.calls()["total"] - ITEMS
        with psycopg.connect(standby.url()) as connection:
            charges = connection.execute("SELECT count(*), count(DISTINCT item_id) FROM spend_charge").fetchone()
        assert charges is not None
        row = ("a standby promoted", ITEMS, told - left, ITEMS - after.done, charges[0] - charges[1], extra, f"{seconds:.1f} s")
        note("A standby is promoted", COLUMNS, row)
        assert told > left
        assert (after.done, after.dead, charges) == (ITEMS, 0, (ITEMS, ITEMS))
        # What the standby never knew is asked again, and what was in the air when the first one died.
        assert told - left <= extra <= told - left + 2 * PUMPS * WINDOW
        checked = stack.manage("check_invariants", "--at-rest")
        assert checked.returncode == 0, checked.stdout
        prove_stack(stack, database_url=standby.url())


def counts(server: PostgresServer) -> traffic.Counts:
    found = traffic.count(server.url())
    assert found is not None
    return found


def done(server: PostgresServer) -> int:
    return counts(server).done


def kill(pid: int) -> None:
    """As a machine that is gone: the server with all its children."""
    server = psutil.Process(pid)
    for process in [server, *server.children(recursive=True)]:
        if process.is_running():
            process.kill()
    server.wait(10)
