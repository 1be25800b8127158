"""Bring the tables to this release while everybody works: a change that doesn't get its lock at once steps back, and asks again."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import psycopg.errors
from django.core.management import call_command
from django.db import OperationalError, connection
from django.db.migrations import Migration
from django.db.migrations.executor import MigrationExecutor

from apps.lib.advisory_lock import in_long_turn

logger = logging.getLogger(__name__)

# Any fixed number, known to everyone who migrates this database.
_MIGRATION_LOCK = UUID(int=0x61_69_70_6C)
# A change that waits for a table makes everybody else wait behind it: so long at most, then they go first.
LOCK_SECONDS = 2.0
_PAUSE_SECONDS = 3.0
_IN_THE_WAY = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)
_PATIENCE_SECONDS = 900.0


def migrate_database() -> None:
    """One at a time, when several machines start together. OperationalError when a table stayed locked for a quarter of an hour."""
    with in_long_turn(_MIGRATION_LOCK):
        executor = MigrationExecutor(connection)
        if executor.loader.applied_migrations:
            for migration, _ in executor.migration_plan(executor.loader.graph.leaf_nodes()):
                _apply(migration)
        call_command("migrate", interactive=False, verbosity=1)


def _apply(migration: Migration) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    # One that is not atomic builds an index beside the others: it blocks nobody, and would begin anew each time.
    seconds = LOCK_SECONDS if migration.atomic else 0.0
    while True:
        try:
            with _lock_timeout(seconds):
                call_command("migrate", migration.app_label, migration.name, interactive=False, verbosity=1)
        except OperationalError as error:
            if not isinstance(error.__cause__, _IN_THE_WAY) or time.monotonic() > until:
                raise
            logger.warning("%s waits for its tables; trying again. Others hold them: %s", migration, _who_is_in_the_way())
            time.sleep(_PAUSE_SECONDS)
        else:
            return


@contextmanager
def _lock_timeout(seconds: float) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", [f"{seconds * 1000:.0f}ms"])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout")


def _who_is_in_the_way() -> str:
    """The transactions that have lasted longest, as the operator finds them in pg_stat_activity."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid, application_name, state, extract(epoch FROM clock_timestamp() - xact_start)::int FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start < clock_timestamp() - make_interval(secs => %s)"
            " ORDER BY xact_start LIMIT 3",
            [LOCK_SECONDS],
        )
        found = [f"pid {pid} ({name or 'unnamed'}, {state}, for {seconds} s)" for pid, name, state, seconds in cursor.fetchall()]
    return ", ".join(found) or "short transactions"
