"""What was perhaps paid for nothing, by day: it explains why a provider counts more than was charged."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from apps.lib.sql import server_cursor

_BY_DAY = """
SELECT (created_at AT TIME ZONE 'UTC')::date, reason, count(*), sum(amount_usd) FROM spend_waste
WHERE created_at >= %(first)s::date::timestamp AT TIME ZONE 'UTC' AND created_at < (%(last)s::date + 1)::timestamp AT TIME ZONE 'UTC'
GROUP BY 1, 2 ORDER BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class WasteOfDay:
    """Calls of one day that brought nothing, for one reason, and the most that they cost. Whose provider it was isn't always known."""

    day: date
    reason: str
    calls: int
    most_usd: Decimal


def list_waste(days: Sequence[date]) -> list[WasteOfDay]:
    """From the first of these days to the last."""
    if not days:
        return []
    with server_cursor() as cursor:
        cursor.execute(_BY_DAY, {"first": min(days), "last": max(days)})
        return [WasteOfDay(*row) for row in cursor]
