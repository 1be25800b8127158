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


# The planner doesn't know how few rows a claim or a group touches, and reads whole tables (or whole lists of waiting items)
# to find them: with 30,000 items in the table that was most of the cost of a claim, and it grows with the table.
_BY_INDEX = "SELECT " + ", ".join(
    f"set_config('enable_{name}', 'off', true)" for name in ("seqscan", "bitmapscan", "hashjoin", "mergejoin")
)  # fmt: skip


def find_by_index(cursor: psycopg.Cursor[tuple[Any, ...]]) -> None:
    """Until the transaction ends, rows are found one by one through indexes: for few rows of big tables."""
    cursor.execute(_BY_INDEX)
