"""A pytest plugin: a real Postgres and a real Valkey for every run, its own when DATABASE_URL and REDIS_URL name none.

It is loaded with `-p tests.services`, before Django's settings are, because the settings are read from the environment.
"""

import atexit
import base64
import os
import secrets
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import psycopg
import pytest
import redis

from apps.lib import embedded
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

_running = ExitStack()
# Their processes live longer than a test, and so does what these have in Valkey.
_KEEPS_STACKS = {"chaos", "browser", "fuzz", "soak"}
# Of servers that tests start: a machine that is busy takes its time.
embedded._READY_SECONDS = 240


def pytest_addoption(parser: pytest.Parser) -> None:
    """The first hook that pytest calls on a plugin named with -p; pytest-django reads the settings in the next one."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return
    # Also when pytest is interrupted before its configuration exists.
    atexit.register(_running.close)
    home = Path(tempfile.mkdtemp(prefix="aiplatform-tests-"))
    _running.callback(shutil.rmtree, home, ignore_errors=True)
    (home / "static").mkdir()
    os.environ["AIPLATFORM_HOME"] = str(home)
    # The stores of a run have just started; what a test loses is to be found at once.
    os.environ.setdefault("JOBS_OUTAGE_SECONDS", "0.001")
    # All tests come from one address, and many of them without a good key.
    os.environ.setdefault("AIPLATFORM_REFUSED_KEYS_PER_MINUTE", "0")
    os.environ.setdefault("AIPLATFORM_WRONG_PASSWORDS_PER_HOUR", "0")
    os.environ.setdefault("SECRET_KEY", secrets.token_urlsafe(48))
    os.environ.setdefault("AIPLATFORM_ENCRYPTION_KEYS", "tests:" + base64.b64encode(secrets.token_bytes(32)).decode())
    if not os.environ.get("DATABASE_URL"):
        os.environ["DATABASE_URL"] = _run_postgres(home)
    if not os.environ.get("REDIS_URL"):
        os.environ["REDIS_URL"] = _run_valkey(home)
    _valkey().flushdb()
    _running.callback(_valkey().close)


def pytest_unconfigure() -> None:
    """The end of the run, also after Ctrl-C."""
    _running.close()


def _run_postgres(home: Path) -> str:
    """A throw-away server: what makes it durable is off."""
    server = PostgresServer(
        data=home / "postgres", port=free_port(), admin_password=secrets.token_hex(16), password=secrets.token_hex(16), durable=False
    )
    init_postgres(server)
    log = _running.enter_context((home / "postgres.log").open("wb"))
    process = start_postgres(server, log=log)
    _running.callback(stop_process, process, stop_signal=signal.SIGINT, grace_seconds=10)
    wait_until(lambda: answers_sql(server.admin_url("template1")), process=process, what="Postgres")
    open_database(server)
    with psycopg.connect(server.admin_url("template1"), autocommit=True) as connection:
        # It would count the rows of a test's open transaction as none, and the planner would believe it: some tests count what is read.
        connection.execute("ALTER SYSTEM SET autovacuum = off")
        connection.execute("SELECT pg_reload_conf()")
    return server.url()


def _run_valkey(home: Path) -> str:
    server = ValkeyServer(data=home / "valkey", port=free_port(), password=secrets.token_hex(16), durable=False)
    log = _running.enter_context((home / "valkey.log").open("wb"))
    process = start_valkey(server, log=log)
    _running.callback(stop_process, process, stop_signal=signal.SIGTERM, grace_seconds=10)
    wait_until(lambda: answers_ping(server.url), process=process, what="Valkey")
    return server.url


@pytest.fixture(scope="session", autouse=True)
def _a_slow_valkey_is_waited_for(django_test_environment: None) -> None:
    """A quarter of a second is much for a request and little for a machine that is busy: no limit and no figure is lost here."""
    from apps.lib import redis_client, throttling

    throttling._TIMEOUT_SECONDS = 30.0
    redis_client._HASTE_SECONDS = redis_client._TIMEOUT_SECONDS = 30
    for client in (throttling._client, redis_client._hasty_client, redis_client.redis_client):
        client.cache_clear()


@pytest.fixture(scope="session", autouse=True)
def _a_slow_test_keeps_its_transaction(django_test_environment: None) -> None:
    """Most tests are one transaction: what a claim says of its own, to end when nothing is done for ten seconds, is not meant."""
    from apps.lib import sql

    assert "'10s'" in sql._SHORT
    sql._SHORT = sql._SHORT.replace("'10s'", "'10min'")


@pytest.fixture(autouse=True)
def _nothing_is_remembered(_a_slow_valkey_is_waited_for: None) -> None:
    """What this process keeps in mind for some seconds, a test would tell the one after it: that Redis is away, how much work waits."""
    from apps.jobs.actions import require_room
    from apps.lib import redis_client, throttling

    throttling._Rest.until = redis_client._Rest.until = 0.0
    require_room._kept.load = None


@cache
def _valkey() -> "redis.Redis":
    return redis.Redis.from_url(os.environ["REDIS_URL"], socket_timeout=60)


@pytest.fixture(autouse=True)
def _valkey_is_empty(request: pytest.FixtureRequest) -> None:
    """What others left there (canaries, buckets, sums of a day, rings) decides nothing."""
    if not any(mark.name in _KEEPS_STACKS for mark in request.node.iter_markers()):
        _valkey().flushdb()


@pytest.fixture(autouse=True)
def _files_in_a_folder_of_their_own(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a test stores is gone after it. Tests that have no use for Django don't pay for it."""
    if request.node.get_closest_marker("django_db") is None and "settings" not in request.fixturenames:
        yield
        return
    from django.conf import settings
    from django.test import override_settings

    with tempfile.TemporaryDirectory(prefix="aiplatform-files-") as folder:
        storages = settings.STORAGES
        default = storages["default"] | {"OPTIONS": storages["default"].get("OPTIONS", {}) | {"location": folder}}
        with override_settings(STORAGES=storages | {"default": default}):
            yield
