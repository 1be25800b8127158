"""One worker at a time for a thing: a session lock of Postgres, which a killed process gives back by dying."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import django.db
from django.db import connection

_SIGNED_64_BITS = (1 << 63) - 1


@contextmanager
def in_turn(key: UUID) -> Iterator[None]:
    """Hold the lock of `key` while inside; waits while another session holds it. For what takes moments."""
    number = key.int & _SIGNED_64_BITS
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [number])
    try:
        yield
    finally:
        _unlock(number)


@contextmanager
def advisory_lock(key: UUID) -> Iterator[bool]:
    """Hold the lock of `key` while inside; yields False at once, without waiting, when another session holds it."""
    number = key.int & _SIGNED_64_BITS
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [number])
        is_mine = bool(cursor.fetchall()[0][0])
    try:
        yield is_mine
    finally:
        if is_mine:
            _unlock(number)


def _unlock(number: int) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [number])
    except (django.db.OperationalError, django.db.InterfaceError):
        # The session is gone, and the lock with it; whatever ended it is already on its way up.
        connection.close()
