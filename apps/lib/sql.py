"""Set-based SQL on Django's connection, with parameters bound by the server instead of pasted into the text."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
from django.db import connection
from django.db.models import BigIntegerField, Func


@contextmanager
def server_cursor() -> Iterator[psycopg.Cursor[tuple[Any, ...]]]:
    """A plain psycopg cursor inside whatever transaction Django has open on this thread."""
    connection.ensure_connection()
    with psycopg.Cursor(connection.connection) as cursor:
        yield cursor


def ids_text(ids: Iterable[UUID]) -> str:
    """An array of ids as Postgres reads it: half of what it takes to send each by itself."""
    return "{" + ",".join([key.hex for key in ids]) + "}"


def numbers_text(numbers: Iterable[Decimal | int | None]) -> str:
    """An array of numbers as Postgres reads it: a twentieth of what it takes to send each decimal by itself."""
    return "{" + ",".join(["NULL" if number is None else str(number) for number in numbers]) + "}"


# The planner doesn't know how few rows a claim or a group touches, and reads whole tables (or whole lists of waiting items)
# to find them: with 30,000 items in the table that was most of the cost of a claim, and it grows with the table.
_SHORT = "SELECT set_config('idle_in_transaction_session_timeout', '10s', true), " + ", ".join(
    f"set_config('enable_{name}', 'off', true)" for name in ("seqscan", "bitmapscan", "hashjoin", "mergejoin")
)


def begin_short(cursor: psycopg.Cursor[tuple[Any, ...]]) -> None:
    """For a transaction that touches few rows of big tables and lasts milliseconds; it holds until the transaction ends.

    Rows are found one by one through indexes. Should the process be stopped in the middle, its locks are gone after ten seconds.
    """
    cursor.execute(_SHORT)


class CurrentTransaction(Func):
    """The number of the transaction that writes a row, as a column's default. They are counted up, and don't wrap around."""

    template = "(pg_current_xact_id()::text::bigint)"
    output_field = BigIntegerField()
