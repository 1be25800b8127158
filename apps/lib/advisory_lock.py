"""One worker at a time for a thing: a session lock of Postgres, which a killed process gives back by dying."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from uuid import UUID

import django.db
from django.db import connection

_SIGNED_64_BITS = (1 << 63) - 1
_PAUSE_SECONDS = 1.0


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
def in_long_turn(key: UUID) -> Iterator[None]:
    """Hold the lock of `key` while inside; waits while another session holds it. For what takes minutes, outside of transactions.

    A statement that waits keeps a snapshot, for which whoever builds an index concurrently waits: the one inside, for those who wait
    for it. So between two tries, each second, nothing is held.
    """
    while True:
        with advisory_lock(key) as is_mine:
            if is_mine:
                yield
                return
        time.sleep(_PAUSE_SECONDS)


def hold_until_commit(keys: Iterable[UUID]) -> None:
    """The locks of these keys for the rest of the transaction; waits while other sessions hold them. For what takes moments."""
    with connection.cursor() as cursor:
        # In one order, so that two that want the same never wait for each other in a circle.
        for number in sorted({key.int & _SIGNED_64_BITS for key in keys}):
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [number])


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
