"""What was perhaps paid for nothing: it explains why a provider counts more than was charged."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from apps.lib.sql import server_cursor
from apps.spend.domain.reconciling import WasteOfDay

_BY_DAY = """
SELECT (created_at AT TIME ZONE 'UTC')::date, upstream_model, reason, count(*), sum(amount_usd) FROM spend_waste
WHERE created_at >= %(first)s::date::timestamp AT TIME ZONE 'UTC' AND created_at < (%(last)s::date + 1)::timestamp AT TIME ZONE 'UTC'
AND (provider_id = %(provider_id)s OR provider_id IS NULL)
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
_BY_RUN = """
SELECT run_id, min(reason), CASE WHEN bool_and(provider_id IS NOT NULL) THEN count(*) END, sum(amount_usd) FROM spend_waste
WHERE created_at >= %b AND (provider_id = %b OR provider_id IS NULL) GROUP BY 1
"""


def list_waste(days: Sequence[date], *, provider_id: UUID) -> list[WasteOfDay]:
    """From the first of these days to the last: this provider's, and whose provider nobody knows."""
    if not days:
        return []
    with server_cursor() as cursor:
        cursor.execute(_BY_DAY, {"first": min(days), "last": max(days), "provider_id": provider_id})
        return [WasteOfDay(*row) for row in cursor]


def waste_of_runs(*, provider_id: UUID, since: datetime) -> list[tuple[UUID, str, int | None, Decimal]]:
    """(run, why, how many calls, the most that they cost), of the same. None: who was asked, and so how often, nobody knows."""
    with server_cursor() as cursor:
        cursor.execute(_BY_RUN, (since, provider_id))
        return [(row[0], row[1], row[2], row[3]) for row in cursor]
