"""Write off: what lost runs may have cost is the operator's waste. Inside the transaction that takes their items back."""

from collections.abc import Sequence
from dataclasses import fields
from operator import attrgetter

from apps.lib.ids import uuid7
from apps.lib.sql import server_cursor
from apps.spend.actions.resolve import resolve
from apps.spend.domain.charges import Ended, LostRun, ResolutionKind

_COLUMNS = [field.name for field in fields(LostRun)]
_ROW = attrgetter(*_COLUMNS)
_TYPES = [*["uuid"] * 3, *["text"] * 4]
# Nobody knows whether they were sent: as much as had been reserved.
_WASTE = f"""
INSERT INTO spend_waste (id, workspace_id, job_id, item_id, reason, amount_usd, {", ".join(_COLUMNS)})
SELECT lost.id, reservation.workspace_id, reservation.job_id, reservation.item_id, 'lost', reservation.amount_usd,
       {", ".join(f"lost.{name}" for name in _COLUMNS)}
FROM unnest(%b::uuid[], {", ".join(f"%b::{kind}[]" for kind in _TYPES)}) AS lost (id, {", ".join(_COLUMNS)})
JOIN spend_reservation AS reservation ON reservation.id = lost.run_id
ON CONFLICT (run_id, seq) DO NOTHING
"""  # noqa: S608 -- column names from a dataclass, values are bound


def write_off(lost: Sequence[LostRun]) -> None:
    """Those that have a reservation; nothing is known of the others' cost."""
    if not lost:
        return
    columns = [list(column) for column in zip(*map(_ROW, lost), strict=True)]
    with server_cursor() as cursor:
        cursor.execute(_WASTE, ([uuid7() for _ in lost], *columns))
    resolve([Ended(run.run_id, ResolutionKind.WASTE) for run in lost])
