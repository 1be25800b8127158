"""A Postgres and a Valkey for one run of the benchmarks, as durable as the stack's own.

DATABASE_URL's server is used when it is set, with a database of the run's own; REDIS_URL's too, if that database is empty.
"""

import base64
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
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
from apps.lib.processes import stop_process

MARK = "AIPLATFORM_BENCH_STORES"  # says that the stores in the environment belong to the run and may be emptied


@contextmanager
def stores() -> Iterator[dict[str, str]]:
    """The environment of the benchmarks; everything in it is ended and removed at the end."""
    with ExitStack() as running:
        home = Path(tempfile.mkdtemp(prefix="aiplatform-bench-"))
        running.callback(shutil.rmtree, home, ignore_errors=True)
        (home / "static").mkdir()
        environment = {
            MARK: "own",
            "AIPLATFORM_HOME": str(home),
            "SECRET_KEY": secrets.token_urlsafe(48),
            "AIPLATFORM_ENCRYPTION_KEYS": "bench:" + base64.b64encode(secrets.token_bytes(32)).decode(),
            "LOG_LEVEL": "WARNING",
        }
        given_database, given_redis = os.environ.get("DATABASE_URL"), os.environ.get("REDIS_URL")
        environment["DATABASE_URL"] = _database_in(running, given_database) if given_database else _postgres(running, home)
        environment["REDIS_URL"] = _empty_redis(running, given_redis) if given_redis else _valkey(running, home)
        yield environment


def _postgres(running: ExitStack, home: Path) -> str:
    server = PostgresServer(data=home / "postgres", port=free_port(), admin_password=secrets.token_hex(16), password=secrets.token_hex(16))
    init_postgres(server)
    process = start_postgres(server, log=running.enter_context((home / "postgres.log").open("wb")))
    running.callback(stop_process, process, stop_signal=signal.SIGINT, grace_seconds=10)
    wait_until(lambda: answers_sql(server.admin_url("template1")), process=process, what="Postgres")
    open_database(server)
    return server.url()


def _valkey(running: ExitStack, home: Path) -> str:
    server = ValkeyServer(data=home / "valkey", port=free_port(), password=secrets.token_hex(16))
    process = start_valkey(server, log=running.enter_context((home / "valkey.log").open("wb")))
    running.callback(stop_process, process, stop_signal=signal.SIGTERM, grace_seconds=10)
    wait_until(lambda: answers_ping(server.url), process=process, what="Valkey")
    return server.url


def _database_in(running: ExitStack, given: str) -> str:
    name = f"bench_{time.time_ns()}"

    def run(statement: str) -> None:
        with psycopg.connect(given, autocommit=True) as connection:
            connection.execute(statement.encode())

    run(f"CREATE DATABASE {name}")
    running.callback(run, f"DROP DATABASE {name} WITH (FORCE)")
    return urlunsplit(urlsplit(given)._replace(path=f"/{name}"))


def _empty_redis(running: ExitStack, given: str) -> str:
    client = running.enter_context(redis.Redis.from_url(given))
    if keys := client.dbsize():
        sys.exit(f"REDIS_URL's database holds {keys} keys, which the benchmarks would remove: name an empty one, or unset REDIS_URL.")
    running.callback(client.flushdb)
    return given
