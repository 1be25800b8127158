"""Threads that are to wait for each other: seen in Postgres, so that a test goes on once one of them does."""

import time
from collections.abc import Callable

import psycopg
from django.db import connection

_WAITS = """
SELECT count(*) FROM pg_stat_activity
WHERE wait_event_type = 'Lock' AND backend_type = 'client backend' AND datname = current_database()
"""
_LONGEST_SECONDS = 240


def wait_until_one_waits(*, unless: Callable[[], bool]) -> None:
    """Returns once a session waits for a lock; AssertionError when what should have waited is over."""
    known = connection.get_connection_params()
    values = {name: known[name] for name in ("host", "port", "user", "password", "dbname")}
    until = time.monotonic() + _LONGEST_SECONDS
    with psycopg.connect(**values, autocommit=True) as watcher:
        while watcher.execute(_WAITS).fetchall()[0][0] == 0:
            assert not unless(), "it didn't wait"
            assert time.monotonic() < until, "nothing waits, nor is it over"
