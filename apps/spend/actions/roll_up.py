"""Roll up: what the ledgers have by now is added to the sums, so that questions read few rows.

A row carries the number of the transaction that wrote it. What lies below the oldest running transaction is whole, whoever commits
late and whatever clocks say; a mark tells up to where the sums go, and is moved in the transaction that adds to them. Rows from before
they carried a number are read by id, before which nothing can come any more.
"""

import time
from dataclasses import dataclass
from typing import Any

import psycopg
import structlog
from django.db import transaction

from apps.lib.failpoints import failpoint
from apps.lib.sql import server_cursor
from apps.spend.actions.begin_anew import NEVER, flag, forget, forget_sums
from apps.spend.domain.spending import SUMS
from apps.spend.queries.entries import JOB_COSTS, SEAL, SOURCES, TABLES, Source, Table

log = structlog.get_logger(__name__)

_AT_ONCE = 50_000
_SECONDS = 200.0
# Rows of running transactions have this number or a higher one, and so will all later rows.
_OLDEST_RUNNING = "pg_snapshot_xmin(pg_current_snapshot())::text::int8"
_MARK = f"""
INSERT INTO spend_rollupmark (source, before, history_before, history_after, seal)
SELECT source, before, before, history_after, {SEAL.format(before="before", history_after="history_after")}
FROM (SELECT %(source)s, {_OLDEST_RUNNING}, '00000000-0000-0000-0000-000000000000'::uuid) AS new (source, before, history_after)
ON CONFLICT DO NOTHING
"""  # noqa: S608 -- our own text
# One adds at a time; whoever comes meanwhile leaves it to them.
_ALONE = "SELECT pg_try_advisory_xact_lock(hashtext('spend_rollupmark'))"
_TAKE = f"""
SELECT before, history_before, history_after, {_OLDEST_RUNNING}, seal = {SEAL.format(before="before", history_after="history_after")}
FROM spend_rollupmark WHERE source = %(source)s FOR UPDATE
"""  # noqa: S608 -- our own text
_MOVE = f"""
UPDATE spend_rollupmark SET before = %(until)s, history_after = %(history_after)s,
    seal = {SEAL.format(before="%(until)s::int8", history_after="%(history_after)s::uuid")}
WHERE source = %(source)s
"""  # noqa: S608 -- our own text
_ARE_MARKED = "SELECT EXISTS (SELECT FROM spend_rollupmark)"


_UPSERT_COSTS = f"""
INSERT INTO {JOB_COSTS} AS kept (id, workspace_id, job_id, begins_at, ends_at, cost_usd)
SELECT encode(substr(sha256(uuid_send(workspace_id) || uuid_send(job_id)), 1, 16), 'hex')::uuid, * FROM (
    SELECT workspace_id, job_id, min(created_at), max(created_at), sum(cost_usd) FROM entry GROUP BY 1, 2
) AS part (workspace_id, job_id, begins_at, ends_at, cost_usd)
ON CONFLICT (id) DO UPDATE SET
    begins_at = least(kept.begins_at, excluded.begins_at), ends_at = greatest(kept.ends_at, excluded.ends_at),
    cost_usd = kept.cost_usd + excluded.cost_usd
"""  # noqa: S608 -- our own names


@dataclass(frozen=True, slots=True)
class Rolled:
    """How many rows were added, and whether more are left for the next time."""

    rows: int
    is_done: bool


def roll_up(*, at_once: int = _AT_ONCE, seconds: float = _SECONDS) -> Rolled:
    """Add what is new, and older history after an upgrade, in bites; what takes longer than some minutes is left for the next time."""
    until = time.monotonic() + seconds
    rows = 0
    for source in SOURCES:
        while True:
            added, is_done = _bite(source, at_once)
            rows += added
            if is_done:
                break
            if time.monotonic() > until:
                return Rolled(rows, is_done=False)
    return Rolled(rows, is_done=True)


def _bite(source: Source, at_once: int) -> tuple[int, bool]:
    """One transaction: the sums and the mark, or neither."""
    with transaction.atomic(), server_cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0; SET LOCAL work_mem = '64MB'")
        cursor.execute(_ALONE)
        if cursor.fetchone() != (True,):
            return 0, True
        cursor.execute(_ARE_MARKED)
        if cursor.fetchone() != (True,):
            # A worker of the release before has forgotten them, but for the tables that it doesn't know.
            forget_sums(cursor)
        cursor.execute(_MARK, {"source": source.name})
        cursor.execute(_TAKE, {"source": source.name})
        before, history_before, history_after, oldest_running, is_ours = cursor.fetchall()[0]
        values = {
            "source": source.name, "before": before, "history_before": history_before, "history_after": history_after,
            "at_once": at_once, "until": oldest_running,
        }  # fmt: skip
        added, is_done = (_add_bite if before <= oldest_running and is_ours else _forget_bite)(cursor, source, values)
        failpoint("roll_up.before_commit")
    failpoint("roll_up.after_commit")
    return added, is_done


def _forget_bite(cursor: psycopg.Cursor[Any], source: Source, values: dict[str, Any]) -> tuple[int, bool]:
    """The mark is beyond any transaction of here, or another release has moved it, which sums up less: all begins anew."""
    if values["before"] < NEVER:
        why = "ledgers_came_from_another_server" if values["before"] > values["until"] else "another_release_rolled_up"
        log.warning(why, table=source.table, before=values["before"], oldest_running=values["until"])
        flag(cursor)
    forget(cursor, at_once=values["at_once"])
    return 0, False


def _add_bite(cursor: psycopg.Cursor[Any], source: Source, values: dict[str, Any]) -> tuple[int, bool]:
    """What is new, or what comes next of the history; is it all that there is?"""
    is_new, oldest_running = values["history_after"] is None, values["until"]
    added = (_add_new if is_new else _add_history)(cursor, source, values)
    cursor.execute(_MOVE, values)
    return added, is_new and values["until"] == oldest_running


def _add_history(cursor: psycopg.Cursor[Any], source: Source, values: dict[str, Any]) -> int:
    """By id; the mark of what is new stays."""
    chosen = f"SELECT id FROM {source.table} WHERE (transaction_id IS NULL OR transaction_id < %(history_before)s) AND id > %(history_after)s ORDER BY id LIMIT %(at_once)s"  # noqa: S608, E501 -- our own names
    cursor.execute(f"WITH chosen AS ({chosen}) SELECT max(id::text)::uuid, count(*) FROM chosen", values)  # noqa: S608 -- our own names
    last, number = cursor.fetchone() or (None, 0)
    if number:
        condition = "(transaction_id IS NULL OR transaction_id < %(history_before)s) AND id > %(history_after)s AND id <= %(last)s"
        _add(cursor, source, condition, values | {"last": last})
    values["until"] = values["before"]
    values["history_after"] = last if number == values["at_once"] else None
    return int(number)


def _add_new(cursor: psycopg.Cursor[Any], source: Source, values: dict[str, Any]) -> int:
    """By transaction; a big one is never divided."""
    span = "transaction_id >= %(before)s AND transaction_id < %(until)s"
    beyond = f"SELECT transaction_id FROM {source.table} WHERE {span} ORDER BY transaction_id OFFSET %(at_once)s LIMIT 1"  # noqa: S608 -- our own names
    cursor.execute(beyond, values)
    if (row := cursor.fetchone()) is not None:
        values["until"] = max(row[0], _first_after(cursor, source, values))
    return _add(cursor, source, span, values)


def _first_after(cursor: psycopg.Cursor[Any], source: Source, values: dict[str, Any]) -> int:
    """The end of the first transaction of this bite."""
    cursor.execute(f"SELECT min(transaction_id) + 1 FROM {source.table} WHERE transaction_id >= %(before)s", values)  # noqa: S608 -- our own names
    row = cursor.fetchone()
    return int(row[0]) if row else 0


def _add(cursor: psycopg.Cursor[Any], source: Source, condition: str, values: dict[str, Any]) -> int:
    """One reading of the rows, added to each table of sums."""
    parts = ", ".join((*(f"{table.name}_added AS ({_upsert(table)})" for table in TABLES), f"costs_added AS ({_UPSERT_COSTS})"))
    cursor.execute(
        f"WITH entry AS MATERIALIZED ({source.entries(condition)}), {parts} SELECT count(*) FROM entry",  # noqa: S608 -- our own names
        values,
    )
    row = cursor.fetchone()
    return int(row[0]) if row else 0


def _upsert(table: Table) -> str:
    dimensions = ", ".join(table.dimensions)
    sums = ", ".join(f"sum({name}) AS {name}" for name in SUMS)
    added = ", ".join(f"{name} = kept.{name} + excluded.{name}" for name in SUMS)
    return f"""
    INSERT INTO {table.name} AS kept (id, begins_at, {dimensions}, {", ".join(SUMS)})
    SELECT {digest(table)}, begins_at, {dimensions}, {", ".join(SUMS)} FROM (
        SELECT {table.begins_at} AS begins_at, {dimensions}, {sums} FROM entry GROUP BY 1, {dimensions}
    ) AS part
    ON CONFLICT (id) DO UPDATE SET {added}
    """  # noqa: S608 -- our own names


def digest(table: Table) -> str:
    """A row's id: half of a SHA-256 over what it stands for, each part with its length, so that no two things read the same."""
    return f"encode(substr(sha256(record_send(ROW(begins_at, {', '.join(table.dimensions)}))), 1, 16), 'hex')::uuid"
