"""A Postgres and a Valkey for one run of the benchmarks, as durable as the stack's own."""

import base64
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

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


@contextmanager
def stores() -> Iterator[dict[str, str]]:
    """The environment of the benchmarks; stores named by the environment are used as they are."""
    with ExitStack() as running:
        home = Path(tempfile.mkdtemp(prefix="aiplatform-bench-"))
        running.callback(shutil.rmtree, home, ignore_errors=True)
        (home / "static").mkdir()
        environment = {
            "AIPLATFORM_HOME": str(home),
            "SECRET_KEY": secrets.token_urlsafe(48),
            "AIPLATFORM_ENCRYPTION_KEYS": "bench:" + base64.b64encode(secrets.token_bytes(32)).decode(),
            "LOG_LEVEL": "WARNING",
        }
        if not os.environ.get("DATABASE_URL"):
            environment["DATABASE_URL"] = _postgres(running, home)
        if not os.environ.get("REDIS_URL"):
            environment["REDIS_URL"] = _valkey(running, home)
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
