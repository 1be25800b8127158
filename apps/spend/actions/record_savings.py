"""Write down what runs did not cost, inside the transaction that settles them."""

from collections.abc import Sequence
from dataclasses import fields
from operator import attrgetter

from apps.lib.sql import server_cursor
from apps.spend.domain.charges import SavingRecord

_COLUMNS = [field.name for field in fields(SavingRecord)]
_ROW = attrgetter(*_COLUMNS)
_TYPES = [*["uuid"] * 6, "text", "uuid", *["text"] * 3, *["numeric"] * 2, "timestamptz", "text"]
_INSERT = f"""
INSERT INTO spend_saving ({", ".join(_COLUMNS)})
SELECT {", ".join(_COLUMNS)} FROM unnest({", ".join(f"%b::{kind}[]" for kind in _TYPES)}) AS saving ({", ".join(_COLUMNS)})
ON CONFLICT (id) DO NOTHING
"""  # noqa: S608 -- column names from a dataclass, values are bound


def record_savings(savings: Sequence[SavingRecord]) -> None:
    """Add them; one for each run."""
    if not savings:
        return
    columns = [list(column) for column in zip(*map(_ROW, savings), strict=True)]
    with server_cursor() as cursor:
        cursor.execute(_INSERT, columns)
