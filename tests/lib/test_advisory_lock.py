"""A session lock lets one worker through and is given back, whatever happens inside."""

import time
from uuid import UUID

import psycopg
import pytest
from django.db import connection

from apps.lib.advisory_lock import advisory_lock

pytestmark = pytest.mark.django_db(transaction=True)

KEY = UUID("0192f0c1-2345-7abc-bdef-0123456789ab")


def is_free_for_others() -> bool:
    parts = connection.get_connection_params()
    with psycopg.connect(**{name: parts[name] for name in ("dbname", "user", "password", "host", "port") if parts.get(name)}) as other:
        row = other.execute("SELECT pg_try_advisory_lock(%s)", [KEY.int & ((1 << 63) - 1)]).fetchone()
        other.execute("SELECT pg_advisory_unlock_all()")
        return bool(row and row[0])


def test_advisory_lock_is_held_inside_and_free_after() -> None:
    with advisory_lock(KEY) as is_mine:
        assert is_mine
        assert not is_free_for_others()
    assert is_free_for_others()


def test_advisory_lock_is_free_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), advisory_lock(KEY):
        raise ZeroDivisionError
    assert is_free_for_others()


def test_advisory_lock_of_another_key_is_another_lock() -> None:
    with advisory_lock(UUID(int=KEY.int + 1)):
        assert is_free_for_others()


def test_advisory_lock_survives_the_end_of_its_session() -> None:
    with advisory_lock(KEY) as is_mine:
        assert is_mine
        connection.close()
    # Postgres ends a session a moment after its client has gone.
    deadline = time.monotonic() + 120
    while not is_free_for_others():
        assert time.monotonic() < deadline
