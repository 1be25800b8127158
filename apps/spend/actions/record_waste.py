"""Write down what was perhaps paid for nothing, inside the transaction that ends the run. It is the operator's."""

from collections.abc import Sequence
from dataclasses import fields
from operator import attrgetter

from apps.lib.sql import server_cursor
from apps.spend.domain.charges import WasteRecord

_COLUMNS = [field.name for field in fields(WasteRecord)]
_ROW = attrgetter(*_COLUMNS)
_TYPES = [*["uuid"] * 5, "int2", "text", "uuid", "text", "numeric", "uuid", "uuid", *["text"] * 4]
_INSERT = f"""
INSERT INTO spend_waste ({", ".join(_COLUMNS)})
SELECT {", ".join(_COLUMNS)} FROM unnest({", ".join(f"%b::{kind}[]" for kind in _TYPES)}) AS waste ({", ".join(_COLUMNS)})
ON CONFLICT (run_id, seq) DO NOTHING
"""  # noqa: S608 -- column names from a dataclass, values are bound


def record_waste(wasted: Sequence[WasteRecord]) -> None:
    """Add them; unique by (run, seq)."""
    if not wasted:
        return
    columns = [list(column) for column in zip(*map(_ROW, wasted), strict=True)]
    with server_cursor() as cursor:
        cursor.execute(_INSERT, columns)
