"""The real servers from the wheels, and what a database of theirs offers."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from apps.lib.embedded import (
    PostgresServer,
    ValkeyServer,
    answers_ping,
    answers_sql,
    init_postgres,
    open_database,
    start_postgres,
    start_valkey,
    wait_until,
)
from apps.lib.ports import free_port
from apps.lib.processes import start_process, stop_process


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    folder = tmp_path_factory.mktemp("a home with spaces")
    server = PostgresServer(data=folder / "postgres", port=free_port(), admin_password="a:dm/in", password="pa@ss", durable=False)
    init_postgres(server)
    init_postgres(server)  # a second time changes nothing
    with (folder / "log").open("wb") as log:
        process = start_postgres(server, log=log)
        wait_until(lambda: answers_sql(server.admin_url("template1")), process=process, what="Postgres")
        open_database(server)
        open_database(server)
        yield server
        assert stop_process(process, stop_signal=signal.SIGINT, grace_seconds=60)


def test_platform_role_is_ordinary_but_may_create_databases(postgres: PostgresServer) -> None:
    with psycopg.connect(postgres.url()) as connection:
        row = connection.execute("SELECT rolsuper, rolcreatedb FROM pg_roles WHERE rolname = current_user").fetchone()
    assert row == (False, True)


def test_a_database_made_later_has_the_vector_extension(postgres: PostgresServer) -> None:
    with psycopg.connect(postgres.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE later")
    with psycopg.connect(postgres.url("later")) as connection:
        assert connection.execute("SELECT '[3,4]'::vector <-> '[0,0]'").fetchone() == (5.0,)


def test_wrong_password_does_not_answer(postgres: PostgresServer) -> None:
    stranger = PostgresServer(data=postgres.data, port=postgres.port, admin_password="-", password="wrong")
    assert not answers_sql(stranger.url())


def test_valkey_keeps_what_it_has_over_a_kill_and_refuses_strangers(tmp_path: Path) -> None:
    server = ValkeyServer(data=tmp_path / "with space", port=free_port(), password="s3cret")
    with (tmp_path / "log").open("wb") as log:
        for expected in (None, b"kept"):
            process = start_valkey(server, log=log)
            wait_until(lambda: answers_ping(server.url), process=process, what="Valkey")
            with redis.Redis.from_url(server.url) as client:
                assert client.get("thing") == expected
                assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
                client.set("thing", "kept")
                client.waitaof(1, 0, 60_000)
            assert not answers_ping(server.url.replace("s3cret", "guess"))
            process.kill()
            process.wait()
    assert (server.data / "valkey.conf").stat().st_mode & 0o077 == 0


def test_child_ends_with_its_parent(tmp_path: Path) -> None:
    """The kernel tells a child of a killed parent, so nothing is left behind."""
    script = (
        "import subprocess, sys, pathlib, os; from apps.lib.processes import start_process\n"
        "child = start_process([sys.executable, '-c', 'import time; time.sleep(600)'], environment=dict(os.environ),"
        " folder=pathlib.Path('/'), output=subprocess.DEVNULL)\n"
        "print(child.pid, flush=True); import time; time.sleep(600)"
    )
    import os
    import subprocess

    import psutil

    parent = start_process([sys.executable, "-c", script], environment=dict(os.environ), folder=Path.cwd(), output=subprocess.PIPE)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    # PID 1 may be slow to reap it; a zombie has ended.
    for _ in range(600):
        if not child.is_running() or child.status() == psutil.STATUS_ZOMBIE:
            break
        psutil.wait_procs([child], timeout=0.1)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
