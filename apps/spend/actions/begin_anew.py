"""Begin the sums anew: what another server numbered counts as history, then all sums are forgotten. In bites, which may be broken off.

Rows that were copied from another server carry numbers that no transaction has had here yet. They lose them, the highest first; while
that goes on the marks say so, and answers tell that they are not complete. One that a transaction of here has reached meanwhile may
keep its number: the marks begin anew behind it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import structlog
from django.db import transaction
from psycopg.errors import DeadlockDetected, LockNotAvailable

from apps.lib.sql import server_cursor
from apps.spend.queries.entries import JOB_COSTS, SOURCES, TABLES

log = structlog.get_logger(__name__)

# No transaction will ever have it. In a mark that begins anew, `history_before` tells down to where rows have lost their numbers.
NEVER = 2**62
_ALONE = "SELECT pg_advisory_xact_lock(hashtext('spend_rollupmark'))"
_FLAG = f"""
INSERT INTO spend_rollupmark (source, before, history_before, history_after)
SELECT source, {NEVER}, {NEVER}, '00000000-0000-0000-0000-000000000000' FROM unnest(%b::text[]) AS known (source)
ON CONFLICT (source) DO UPDATE
SET before = excluded.before, history_before = excluded.history_before, history_after = excluded.history_after
WHERE spend_rollupmark.before <> excluded.before
"""  # noqa: S608 -- a constant
_IS_FLAGGED = f"SELECT count(*) = {len(SOURCES)} FROM spend_rollupmark WHERE before = {NEVER}"  # noqa: S608 -- constants
_BITE = """
WITH mark AS MATERIALIZED (
    SELECT history_before AS below FROM spend_rollupmark WHERE source = %(source)s
), chosen AS MATERIALIZED (
    SELECT id, transaction_id FROM {table}
    WHERE transaction_id >= pg_snapshot_xmax(pg_current_snapshot())::text::int8 AND transaction_id <= (SELECT below FROM mark)
    ORDER BY transaction_id DESC LIMIT %(at_once)s
), changed AS (
    UPDATE {table} AS row SET transaction_id = NULL FROM chosen WHERE row.id = chosen.id
), moved AS (
    UPDATE spend_rollupmark SET history_before = lowest FROM (SELECT min(transaction_id) AS lowest FROM chosen) AS last
    WHERE source = %(source)s AND lowest IS NOT NULL
)
SELECT count(*) FROM chosen
"""
# Whoever wants to read them waits behind a TRUNCATE that waits: so long at most, then they go first.
_STEP_BACK = "SELECT set_config('lock_timeout', '2s', true)"


def begin_anew(*, at_once: int, wait: Callable[[], None]) -> None:
    """Forget all sums: the next roll-ups make them again, from the first row on. Broken off, they go on with it.

    `wait`: before it is tried again, as often as somebody reads the sums for long.
    """
    with _alone() as cursor:
        flag(cursor)
    is_over = False
    while not is_over:
        try:
            with _alone() as cursor:
                # A roll-up by beat may have come to its end meanwhile.
                cursor.execute(_IS_FLAGGED)
                is_over = cursor.fetchone() != (True,) or forget(cursor, at_once=at_once)
        except (LockNotAvailable, DeadlockDetected):
            log.warning("sums_are_being_read", text="They can't be forgotten while somebody reads them; trying again.")
            wait()


def flag(cursor: psycopg.Cursor[Any]) -> None:
    """From now on the marks say that all begins anew, whatever numbers transactions of here come to."""
    cursor.execute(_FLAG, ([source.name for source in SOURCES],))


def forget(cursor: psycopg.Cursor[Any], *, at_once: int) -> bool:
    """One bite of at most so many rows a ledger, in the caller's transaction; True: it was the last one, and the sums are forgotten.

    LockNotAvailable (an OperationalError, after which a task is tried again) where somebody reads them for long.
    """
    for source in SOURCES:
        cursor.execute(_BITE.format(table=source.table), {"source": source.name, "at_once": at_once})
        if cursor.fetchone() == (at_once,):
            return False
    forget_sums(cursor)
    return True


def forget_sums(cursor: psycopg.Cursor[Any]) -> None:
    """All of them, and how far they went, at once."""
    cursor.execute(_STEP_BACK)
    cursor.execute(f"TRUNCATE {', '.join(table.name for table in TABLES)}, {JOB_COSTS}, spend_rollupmark")


@contextmanager
def _alone() -> Iterator[psycopg.Cursor[Any]]:
    """A transaction in which nobody else adds to the sums."""
    with transaction.atomic(), server_cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute(_ALONE)
        yield cursor
