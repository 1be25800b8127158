"""A change of a table that somebody reads for long: nobody else waits for it, and it is made afterwards.

An index that is built beside the work of others comes to its end, too: whoever waits, and wherever a build before was broken off.
"""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Any, Self

import pytest
from django.core.management import call_command
from django.db import OperationalError, connection

from apps.ops.actions.stack import migrate_database as migrating
from apps.ops.actions.stack.migrate_database import migrate_database
from tests.long_reader import Reader

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def _one_behind() -> Iterator[None]:
    call_command("migrate", "jobs", "0011", verbosity=0)
    yield
    call_command("migrate", verbosity=0)


class Told:
    """What is said while a change waits; then the one in the way ends."""

    def __init__(self, may_go: Event) -> None:
        self.text, self.may_go = "", may_go

    def warning(self, text: str, *values: object) -> None:
        self.text += text % values
        self.may_go.set()


@pytest.mark.usefixtures("_one_behind")
def test_nobody_waits_behind_a_change_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrating, "LOCK_SECONDS", 0.5)
    monkeypatch.setattr(migrating, "_PAUSE_SECONDS", 0.5)
    reader = Reader("jobs_item", behind="ALTER")
    told = Told(reader.may_go)
    monkeypatch.setattr(migrating, "logger", told)
    reader.thread.start()
    assert reader.holds.wait(120)
    migrate_database()
    reader.thread.join()
    assert (reader.has_seen_it_wait, reader.has_read_meanwhile) == (True, True)
    assert "idle in transaction" in told.text
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM information_schema.columns WHERE table_name = 'jobs_item' AND column_name = 'prompt_version'")
        assert cursor.fetchall() == [(1,)]
        cursor.execute("SHOW lock_timeout")
        assert cursor.fetchall() == [("0",)]


@pytest.mark.usefixtures("_one_behind")
def test_a_table_that_stays_locked_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrating, "LOCK_SECONDS", 0.1)
    monkeypatch.setattr(migrating, "_PATIENCE_SECONDS", 0.0)
    with Reader("jobs_item", behind="ALTER").connect() as holder, holder.transaction():
        holder.execute("SELECT 1 FROM jobs_item LIMIT 1")
        with pytest.raises(Exception, match="lock timeout"):
            migrate_database()


_BUILDS = "wait_event_type = 'Lock' AND query LIKE 'CREATE INDEX CONCURRENTLY%'"
_ASKS = "query LIKE 'SELECT pg%advisory_lock(%'"
_INDEXES = """
SELECT relname, indisvalid FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE relname IN ('spend_charge_costs', 'spend_charge_by_time')
"""


@pytest.fixture
def _one_index_behind() -> Iterator[None]:
    call_command("migrate", "spend", "0021", verbosity=0)
    yield
    call_command("migrate", verbosity=0)


class Builds:
    """Threads that migrate, while somebody who writes charges keeps an index from being built."""

    def __init__(self) -> None:
        reader = Reader("spend_charge", behind="CREATE")
        self.threads, self.writer, self.watcher = ThreadPoolExecutor(2), reader.connect(), reader.connect()

    def __enter__(self) -> Self:
        self.writer.execute("BEGIN")
        self.writer.execute("LOCK TABLE spend_charge IN ROW EXCLUSIVE MODE")
        return self

    def __exit__(self, *_: object) -> None:
        self.writer.close()
        self.threads.shutdown()
        self.watcher.close()

    def migrate(self, *, until: str) -> Future[None]:
        """A thread that migrates, once a session of this database is such a one."""
        done = self.threads.submit(_migrate)
        longest = time.monotonic() + 240
        while not self.ask(f"SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND {until}"):
            assert not done.done(), done.exception()
            assert time.monotonic() < longest
        return done

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        return self.watcher.execute(query).fetchall()


def _migrate() -> None:
    try:
        migrate_database()
    finally:
        connection.close()


@pytest.mark.usefixtures("_one_index_behind")
def test_an_index_is_built_while_another_machine_waits_to_migrate(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told(Event())
    monkeypatch.setattr(migrating, "logger", told)
    with Builds() as builds:
        first = builds.migrate(until=_BUILDS)
        second = builds.migrate(until=_ASKS)
        builds.writer.execute("COMMIT")
        first.result(240)
        second.result(240)
        assert builds.ask(_INDEXES) == [("spend_charge_costs", True)]
    assert told.text == ""


@pytest.mark.usefixtures("_one_index_behind")
def test_a_migration_that_was_killed_in_the_middle_of_an_index_runs_again() -> None:
    with Builds() as builds:
        first = builds.migrate(until=_BUILDS)
        builds.ask(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND {_BUILDS}")
        with pytest.raises(OperationalError):
            first.result(240)
        builds.writer.execute("COMMIT")
        assert dict(builds.ask(_INDEXES)) == {"spend_charge_by_time": True, "spend_charge_costs": False}
        migrate_database()
        assert builds.ask(_INDEXES) == [("spend_charge_costs", True)]
