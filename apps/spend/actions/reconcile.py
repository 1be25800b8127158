"""Reconcile: what a provider says it was used for, beside what we charged, kept for each day and model."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from uuid import UUID

from django.db import transaction

from apps.lib.ids import uuid7
from apps.lib.sql import server_cursor
from apps.spend.domain.usage_export import UsedOnDay
from apps.spend.models import ReconciledDay

_OURS = """
SELECT (created_at AT TIME ZONE 'UTC')::date, upstream_model, count(*), sum(input_tokens + cached_input_tokens + cache_write_tokens)::int8,
       sum(cached_input_tokens)::int8, sum(output_tokens + reasoning_tokens)::int8, sum(cost_usd)
FROM spend_charge
WHERE provider_id = %(provider_id)s AND created_at >= %(first)s::date::timestamp AT TIME ZONE 'UTC'
  AND created_at < (%(last)s::date + 1)::timestamp AT TIME ZONE 'UTC'
GROUP BY 1, 2
"""
_Ours = tuple[int, int, int, int, Decimal]
_NOTHING: _Ours = (0, 0, 0, 0, Decimal(0))


def reconcile(*, provider_id: UUID, used: Sequence[UsedOnDay], source: str) -> list[ReconciledDay]:
    """A row for each day and model that either side knows, between the export's first day and its last."""
    days = [one.day for one in used]
    with transaction.atomic():
        ours = _read_ours(provider_id, min(days), max(days))
        theirs = {(one.day, one.model): one for one in used}
        rows = [
            _row(provider_id, source, key, theirs.get(key) or UsedOnDay(*key, 0, 0, 0, 0, Decimal(0)), ours.get(key, _NOTHING))
            for key in sorted(theirs.keys() | ours.keys())
        ]
        return ReconciledDay.objects.bulk_create(rows, batch_size=1000)


def _read_ours(provider_id: UUID, first: date, last: date) -> dict[tuple[date, str], _Ours]:
    with server_cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute(_OURS, {"provider_id": provider_id, "first": first, "last": last})
        return {(row[0], row[1]): (row[2], row[3], row[4], row[5], row[6]) for row in cursor}


def _row(provider_id: UUID, source: str, key: tuple[date, str], theirs: UsedOnDay, ours: _Ours) -> ReconciledDay:
    told = (theirs.requests, theirs.input_tokens, theirs.cached_input_tokens, theirs.output_tokens, theirs.cost_usd)
    return ReconciledDay(
        id=uuid7(),
        source=source[:200],
        provider_id=provider_id,
        day=key[0],
        upstream_model=key[1],
        their_requests=told[0],
        our_requests=ours[0],
        their_input_tokens=told[1],
        our_input_tokens=ours[1],
        their_cached_input_tokens=told[2],
        our_cached_input_tokens=ours[2],
        their_output_tokens=told[3],
        our_output_tokens=ours[3],
        their_cost_usd=told[4],
        our_cost_usd=ours[4],
        is_equal=all(one is None or one == other for one, other in zip(told, ours, strict=True)),
    )
