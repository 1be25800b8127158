"""Write down what used answers cost, inside the transaction that settles them."""

from collections.abc import Sequence
from dataclasses import fields
from operator import attrgetter

from apps.lib.sql import server_cursor
from apps.spend.domain.charges import ChargeRecord

_COLUMNS = [field.name for field in fields(ChargeRecord)]
_ROW = attrgetter(*_COLUMNS)
_TYPES = [
    *["uuid"] * 4, "int2", *["uuid"] * 3, "text", *["uuid"] * 2, *["text"] * 3, *["int8"] * 5, *["text"] * 3, "numeric", "timestamptz",
    "text",
]  # fmt: skip
_VALUES = ", ".join(f"{name}::jsonb" if name in {"usage", "parts", "prices"} else name for name in _COLUMNS)
# A charge that stands already (the same item and seq) is never doubled and never changed.
_INSERT = f"""
INSERT INTO spend_charge ({", ".join(_COLUMNS)})
SELECT {_VALUES} FROM unnest({", ".join(f"%b::{kind}[]" for kind in _TYPES)}) AS charge ({", ".join(_COLUMNS)})
ON CONFLICT (item_id, seq) DO NOTHING
"""  # noqa: S608 -- column names from a dataclass, values are bound


def record_charges(charges: Sequence[ChargeRecord]) -> None:
    """Add the charges of a settled group; unique by (item, seq)."""
    if not charges:
        return
    columns = [list(column) for column in zip(*map(_ROW, charges), strict=True)]
    with server_cursor() as cursor:
        cursor.execute(_INSERT, columns)
