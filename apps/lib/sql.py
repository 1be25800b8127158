"""Set-based SQL on Django's connection, with parameters bound by the server instead of pasted into the text."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connection


@contextmanager
def server_cursor() -> Iterator[psycopg.Cursor[tuple[Any, ...]]]:
    """A plain psycopg cursor inside whatever transaction Django has open on this thread."""
    connection.ensure_connection()
    with psycopg.Cursor(connection.connection) as cursor:
        yield cursor
