"""What a migration takes away from code that still runs: judged operation by operation, on the models as they are at that point."""

import re
from collections.abc import Iterator

from django.contrib.postgres.operations import AddConstraintNotValid, ValidateConstraint
from django.db import connection, migrations, models
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models.fields import NOT_PROVIDED
from pgvector.django import VectorField

_TAKES_AWAY = re.compile(
    r"\b(DROP|TRUNCATE|DELETE\s+FROM|RENAME|REVOKE|SET\s+NOT\s+NULL|SET\s+DATA\s+TYPE|ALTER\s+(COLUMN\s+)?\S+\s+TYPE|ADD\s+(CONSTRAINT|UNIQUE|CHECK))\b",
    re.IGNORECASE,
)
_REFUSED: dict[type[Operation], str] = {
    migrations.RemoveField: "removes a column that older code reads and writes",
    migrations.RenameField: "renames a column that older code reads and writes",
    migrations.DeleteModel: "removes a table that older code reads and writes",
    migrations.RenameModel: "renames a table that older code reads and writes",
    migrations.AlterModelTable: "renames a table that older code reads and writes",
    migrations.RemoveConstraint: "removes a constraint that older code may name in ON CONFLICT",
    migrations.RunPython: "runs code that nobody can judge by its look",
}
_STRICTER = (
    migrations.AddConstraint,
    migrations.AlterUniqueTogether,
    migrations.AlterIndexTogether,
    migrations.AlterOrderWithRespectTo,
    AddConstraintNotValid,
    ValidateConstraint,
)


def what_is_taken(migration: migrations.Migration, before: ProjectState) -> list[str]:
    """A sentence for each operation that code of before the migration can't live with. `before` becomes the state after it."""
    found: list[str] = []
    own: set[str] = set()
    for operation in migration.operations:
        found += [
            f"{migration.app_label}.{migration.name}: {operation.describe()}: {why}" for why in _judge(operation, migration, before, own)
        ]
        if isinstance(operation, migrations.CreateModel):
            own.add(operation.name_lower)
        operation.state_forwards(migration.app_label, before)
    return found


def _judge(operation: Operation, migration: migrations.Migration, before: ProjectState, own: set[str]) -> Iterator[str]:
    """`own`: tables that this migration makes, which no older code knows."""
    if isinstance(operation, migrations.SeparateDatabaseAndState):
        for inner in operation.database_operations:
            yield from _judge(inner, migration, before, own)
        return
    if getattr(operation, "model_name_lower", getattr(operation, "name_lower", None)) in own:
        return
    if why := next((why for kind, why in _REFUSED.items() if isinstance(operation, kind)), None):
        yield why
    elif isinstance(operation, _STRICTER):
        yield "asks more of rows than older code may give"
    elif isinstance(operation, migrations.RunSQL):
        # A trigger that watches for it takes nothing away.
        if found := _TAKES_AWAY.search(_forward_sql(operation).replace("BEFORE TRUNCATE ON", "")):
            yield f"its SQL says {found[0].upper()}"
    elif isinstance(operation, migrations.AddField):
        yield from _judge_added(operation.field)
    elif isinstance(operation, migrations.AlterField):
        models_before = before.models[migration.app_label, operation.model_name_lower]
        yield from _judge_altered(models_before.fields[operation.name], operation.field, operation.name)


def _forward_sql(operation: migrations.RunSQL) -> str:
    parts = operation.sql if isinstance(operation.sql, list | tuple) else [operation.sql]
    return "\n".join(part if isinstance(part, str) else part[0] for part in parts)


def _judge_added(field: models.Field) -> Iterator[str]:
    if field.many_to_many:
        return
    if not field.null and field.db_default is NOT_PROVIDED and not field.generated:
        yield "an insert of older code, which doesn't name the column, has no value for it (null=True or db_default=...)"
    if field.unique and field.db_default is not NOT_PROVIDED:
        yield "the second insert of older code would have the same value in a unique column"


def _judge_altered(old: models.Field, new: models.Field, name: str) -> Iterator[str]:
    if old.null and not new.null:
        yield "null is refused now"
    if new.unique and not old.unique:
        yield "values must be unique now"
    if old.db_default is not NOT_PROVIDED and new.db_default is NOT_PROVIDED:
        yield "its default in the database goes"
    if (new.db_column or name) != (old.db_column or name):
        yield "its column has another name"
    if _is_narrower(old, new):
        yield f"{_column_type(old)} becomes {_column_type(new)}"
    if new.remote_field and old.remote_field and new.db_constraint and not old.db_constraint:
        yield "what it points to must exist now"


def _column_type(field: models.Field) -> str:
    if field.remote_field:
        return f"a reference to {field.remote_field.model}"
    return str(field.db_parameters(connection)["type"])


def _is_narrower(old: models.Field, new: models.Field) -> bool:
    """Texts may grow, numbers before their point, and vectors may be of any length.

    Other types may refuse what older code writes, or give it what it can't read.
    """
    if type(old) is type(new) and isinstance(old, models.DecimalField) and old.decimal_places == new.decimal_places:
        return (new.max_digits or 0) < (old.max_digits or 0)
    if (
        type(old) is type(new)
        and isinstance(old, models.CharField)
        and old.max_length
        and (new.max_length is None or new.max_length >= old.max_length)
    ):
        return False
    if isinstance(old, models.CharField) and isinstance(new, models.TextField):
        return False
    if isinstance(old, VectorField) and isinstance(new, VectorField) and new.dimensions is None:
        return False
    return _column_type(old).lower() != _column_type(new).lower()


def released(changelog: str) -> set[str]:
    """The versions that CHANGELOG.md has as released."""
    return set(re.findall(r"^## (\d+\.\d+\.\d+)(?! *\(unreleased\))", changelog, re.MULTILINE))
