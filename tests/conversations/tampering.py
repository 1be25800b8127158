"""Write to a table behind the back of all rules."""

from typing import Any

from django.db import connection


def tamper(table: str, change: str, *values: Any) -> None:
    """`change` is what stands behind the table's name in an UPDATE, or a whole DELETE; no trigger of the table looks at it."""
    statement = change.format(table=table) if change.startswith("DELETE") else f"UPDATE {table} {change}"
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        cursor.execute(statement, values)
        cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
