"""A change of a table that somebody reads for long: nobody else waits for it, and it is made afterwards."""

from collections.abc import Iterator
from threading import Event

import pytest
from django.core.management import call_command
from django.db import connection

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
