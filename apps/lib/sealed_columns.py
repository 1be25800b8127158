"""Columns that hold sealed secrets: which keys they are sealed with, and sealing them anew, beside whoever else reads and writes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, F, Func, Model, QuerySet, TextField, Value
from psycopg import sql

from apps.lib.sealing import SealInvalidError, seal, unseal
from apps.lib.sql import server_cursor

_UPDATE = "UPDATE {table} AS kept SET {column} = new.sealed FROM unnest(%s::{key}[], %s::text[]) AS new (id, sealed) WHERE kept.id = new.id"


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """One column. Its rows say by `seal_owner` whom they open for; `owner_columns` are what that is made of."""

    model: type[Model]
    name: str
    owner_columns: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.model._meta.verbose_name} {self.name}"  # noqa: SLF001 -- how Django calls it

    def filled(self) -> QuerySet[Any]:
        """The rows that have a secret there."""
        return self.model._default_manager.exclude(**{self.name: ""}).order_by("pk")  # noqa: SLF001 -- how Django calls it


@dataclass(frozen=True, slots=True)
class Bite:
    """What came of some rows: how many were sealed anew, which don't open (by their id, with the reason), and where to go on."""

    sealed: int
    unreadable: Mapping[Any, str]
    last: Any


def count_by_key(column: SealedColumn) -> dict[str, int]:
    """How many secrets are sealed with which key."""
    key_id = Func(F(column.name), Value(":"), Value(1), function="split_part", output_field=TextField())
    rows = column.filled().order_by().annotate(sealed_with=key_id).values("sealed_with").annotate(number=Count("pk"))
    return {row["sealed_with"]: row["number"] for row in rows}


def has_other_keys(column: SealedColumn, *, key_ids: frozenset[str]) -> bool:
    """Whether something is sealed with a key that is none of these."""
    rows = column.filled()
    for key_id in key_ids:
        rows = rows.exclude(**{f"{column.name}__startswith": f"{key_id}:"})
    return rows.exists()


@transaction.atomic
def seal_bite_anew(column: SealedColumn, *, keys: Mapping[str, bytes], after: Any, at_once: int) -> Bite | None:
    """Seal the next rows with the first key; None when there are none behind `after`.

    Rows that somebody else is writing are passed over instead of waited for, so nothing here can block or be blocked for long.
    """
    newest = next(iter(keys))
    rows = column.filled().exclude(**{f"{column.name}__startswith": f"{newest}:"}).only("pk", column.name, *column.owner_columns)
    if after is not None:
        rows = rows.filter(pk__gt=after)
    found = list(rows.select_for_update(skip_locked=True, no_key=True)[:at_once])
    if not found:
        return None
    sealed, unreadable = {}, {}
    for row in found:
        try:
            secret = unseal(getattr(row, column.name), keys=keys, owner=row.seal_owner)
        except SealInvalidError as error:
            unreadable[row.pk] = str(error)
        else:
            sealed[row.pk] = seal(secret, keys=keys, owner=row.seal_owner)
    _write(column, sealed)
    return Bite(sealed=len(sealed), unreadable=unreadable, last=found[-1].pk)


def _write(column: SealedColumn, sealed: Mapping[Any, str]) -> None:
    meta = column.model._meta  # noqa: SLF001 -- how Django calls it
    statement = sql.SQL(_UPDATE).format(
        table=sql.Identifier(meta.db_table), column=sql.Identifier(column.name), key=sql.SQL(str(meta.pk.db_type(connection)))
    )
    with server_cursor() as cursor:
        cursor.execute(statement, [list(sealed), list(sealed.values())])
