"""What a migration that is no transaction does again after a break: what is whole stays, what is broken is built anew."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import IntegrityError, ProgrammingError, connection, models
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState

from apps.lib.resumed_migrations import AddColumn, BuildIndex, DropIndex

pytestmark = pytest.mark.django_db(transaction=True)

_BUILD = BuildIndex("thing", models.Index(fields=["size"], name="made_up_by_size"))
_DROP = DropIndex("thing", "made_up_by_size")
_ADD = AddColumn("thing", "note", models.TextField(null=True))


@pytest.fixture
def before() -> Iterator[ProjectState]:
    """A table with two rows of the same size."""
    found = ProjectState()
    found.add_model(ModelState("made_up", "Thing", [("id", models.IntegerField(primary_key=True)), ("size", models.IntegerField())]))
    model = found.apps.get_model("made_up", "Thing")
    with connection.schema_editor() as editor:
        editor.create_model(model)
    model.objects.bulk_create([model(id=1, size=7), model(id=2, size=7)])
    yield found
    with connection.schema_editor() as editor:
        editor.delete_model(model)


def after(operation: Operation, before: ProjectState) -> ProjectState:
    found = before.clone()
    operation.state_forwards("made_up", found)
    return found


def forwards(operation: Operation, before: ProjectState) -> None:
    with connection.schema_editor(atomic=False) as editor:
        operation.database_forwards("made_up", editor, before, after(operation, before))


def backwards(operation: Operation, before: ProjectState) -> None:
    with connection.schema_editor(atomic=False) as editor:
        operation.database_backwards("made_up", editor, after(operation, before), before)


def said(query: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall()) if cursor.description else []


def index() -> list[tuple[Any, ...]]:
    """Which one it is, and whether it answers."""
    return said("SELECT indexrelid, indisvalid FROM pg_index WHERE indexrelid = to_regclass('made_up_by_size')")


def break_off() -> int:
    """A build that found what it can't take leaves an index of that name behind, which answers nobody."""
    with pytest.raises(IntegrityError):
        said("CREATE UNIQUE INDEX CONCURRENTLY made_up_by_size ON made_up_thing (size)")
    ((number, is_valid),) = index()
    assert not is_valid
    return int(number)


def test_a_whole_index_stays(before: ProjectState) -> None:
    forwards(_BUILD, before)
    ((number, is_valid),) = index()
    forwards(_BUILD, before)
    assert (is_valid, index()) == (True, [(number, True)])


def test_a_broken_index_is_built_anew(before: ProjectState) -> None:
    broken = break_off()
    forwards(_BUILD, before)
    ((number, is_valid),) = index()
    assert (is_valid, number != broken) == (True, True)


def test_an_index_of_that_name_on_another_table_is_not_taken_for_it(before: ProjectState) -> None:
    said("CREATE TABLE made_up_other (size int)")
    said("CREATE INDEX made_up_by_size ON made_up_other (size)")
    try:
        with pytest.raises(ProgrammingError, match="already exists"):
            forwards(_BUILD, before)
    finally:
        said("DROP TABLE made_up_other")


def test_an_index_is_dropped_once_and_comes_back_whole(before: ProjectState) -> None:
    with_index = after(_BUILD, before)
    forwards(_BUILD, before)
    forwards(_DROP, with_index)
    forwards(_DROP, with_index)
    assert index() == []
    broken = break_off()
    backwards(_DROP, with_index)
    ((number, is_valid),) = index()
    backwards(_DROP, with_index)
    assert (is_valid, number != broken, index()) == (True, True, [(number, True)])


def test_a_column_is_added_and_taken_away_once(before: ProjectState) -> None:
    columns = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'made_up_thing'"
    forwards(_ADD, before)
    forwards(_ADD, before)
    assert said(columns) == [(3,)]
    backwards(_ADD, before)
    backwards(_ADD, before)
    assert said(columns) == [(2,)]


def test_sql_that_is_only_shown_does_not_hang_on_what_is_there(before: ProjectState) -> None:
    forwards(_BUILD, before)
    forwards(_ADD, before)
    with connection.schema_editor(collect_sql=True, atomic=False) as editor:
        for operation in (_BUILD, _ADD):
            operation.database_forwards("made_up", editor, before, after(operation, before))
    build, add = editor.collected_sql
    assert build.startswith('CREATE INDEX CONCURRENTLY "made_up_by_size"')
    assert add.startswith('ALTER TABLE "made_up_thing" ADD COLUMN "note"')
    backwards(_ADD, before)
