"""Operations of migrations that are no transaction: broken off anywhere, the migration runs again, and they go on from there.

An index that is built beside the work of others can't be part of a transaction. What a broken build leaves behind carries the index's name,
answers nobody, and slows each write down.
"""

import logging
from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db.migrations import AddField

logger = logging.getLogger(__name__)

_IS_WHOLE = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s) AND indrelid = to_regclass(%s)"
_HAS_COLUMN = "SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = %s AND NOT attisdropped"


class BuildIndex(AddIndexConcurrently):
    """Builds an index while the table is written to. A whole one of that name on that table stays; a broken one is built anew."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if _is_to_be_built(schema_editor, to_state.apps.get_model(app_label, self.model_name), self.index.name):
            super().database_forwards(app_label, schema_editor, from_state, to_state)


class DropIndex(RemoveIndexConcurrently):
    """Drops an index while the table is written to, if it is still there. On the way back it is built as by `BuildIndex`."""

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if _is_to_be_built(schema_editor, to_state.apps.get_model(app_label, self.model_name), self.name):
            super().database_backwards(app_label, schema_editor, from_state, to_state)


class AddColumn(AddField):
    """Adds a column that isn't there yet. For those that one statement makes: neither a foreign key nor with an index of their own."""

    def database_forwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if not _has_column(schema_editor, to_state.apps.get_model(app_label, self.model_name), self.name, otherwise=False):
            super().database_forwards(app_label, schema_editor, from_state, to_state)

    def database_backwards(self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any) -> None:
        if _has_column(schema_editor, from_state.apps.get_model(app_label, self.model_name), self.name, otherwise=True):
            super().database_backwards(app_label, schema_editor, from_state, to_state)


def _is_to_be_built(schema_editor: Any, model: Any, name: str) -> bool:
    """What a broken build or drop has left of it is dropped first. True where SQL is only shown: that may not hang on one database."""
    if schema_editor.collect_sql:
        return True
    index, table = schema_editor.quote_name(name), schema_editor.quote_name(_options(model).db_table)
    found = _found(schema_editor, _IS_WHOLE, [index, table])
    if found == [(False,)]:
        logger.warning("The index %s is not whole: what is there of it is dropped, and it is built anew", name)
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {index}")
    return found != [(True,)]


def _has_column(schema_editor: Any, model: Any, name: str, *, otherwise: bool) -> bool:
    """`otherwise` where SQL is only shown."""
    if schema_editor.collect_sql:
        return otherwise
    table, column = schema_editor.quote_name(_options(model).db_table), _options(model).get_field(name).column
    return bool(_found(schema_editor, _HAS_COLUMN, [table, column]))


def _options(model: Any) -> Any:
    return model._meta  # noqa: SLF001 -- Django documents it: how a model's table and columns are called


def _found(schema_editor: Any, query: str, values: list[str]) -> list[tuple[Any, ...]]:
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())
