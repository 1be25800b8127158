"""A pool whose sessions have been ended is whole again before the next caller needs it."""

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from django.db import connection
from psycopg_pool import ConnectionPool

from apps.lib import pool_care
from apps.lib.pool_care import replace_dead_connections

pytestmark = pytest.mark.django_db(transaction=True)
SIZE = 4


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[ConnectionPool[Any]]:
    parts = {
        name: value for name, value in connection.get_connection_params().items() if name in {"host", "port", "user", "password", "dbname"}
    }
    with ConnectionPool(kwargs=parts | {"autocommit": True, "application_name": "pooled"}, min_size=SIZE, max_size=SIZE) as made:
        made.wait()
        monkeypatch.setattr(pool_care, "connection", SimpleNamespace(pool=made))
        yield made


def end_sessions() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE application_name = 'pooled'")


def fails(pool: ConnectionPool[Any]) -> bool:
    try:
        with pool.connection() as one:
            one.execute("SELECT 1")
    except psycopg.OperationalError:
        return True
    return False


def wait_for_care() -> None:
    for thread in threading.enumerate():
        if thread.name == "pool-care":
            thread.join(120)


def test_without_care_each_dead_connection_costs_a_caller(pool: ConnectionPool[Any]) -> None:
    end_sessions()
    assert [fails(pool) for _ in range(SIZE)] == [True] * SIZE


def test_with_care_only_the_first_one_does(pool: ConnectionPool[Any]) -> None:
    end_sessions()
    assert fails(pool)
    replace_dead_connections()
    wait_for_care()
    assert [fails(pool) for _ in range(2 * SIZE)] == [False] * 2 * SIZE


def test_a_pool_that_can_not_be_looked_at_breaks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def check(self) -> None:
            raise psycopg.OperationalError

    monkeypatch.setattr(pool_care, "connection", SimpleNamespace(pool=Gone()))
    for _ in range(2):
        replace_dead_connections()
        wait_for_care()
    assert not pool_care._one_at_a_time.locked()
