"""Reconcile: what a provider says it was used for, beside what we charged and wrote off, kept for each day and model."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from django.db import transaction

from apps.lib.ids import uuid7
from apps.lib.sql import server_cursor
from apps.spend.domain.reconciling import MEASURES, Charged, Compared, Lost, Matched, Side, WasteOfDay, compare, match_calls
from apps.spend.domain.usage_export import UsedOnDay
from apps.spend.domain.witness import Witness, hash_of_run
from apps.spend.models import ReconciledDay
from apps.spend.queries.wasted import list_waste, waste_of_runs

_OURS = """
SELECT (created_at AT TIME ZONE 'UTC')::date, upstream_model, count(*), sum(input_tokens + cached_input_tokens + cache_write_tokens)::int8,
       sum(cached_input_tokens)::int8, sum(output_tokens + reasoning_tokens)::int8, sum(cost_usd)
FROM spend_charge
WHERE provider_id = %(provider_id)s AND created_at >= %(first)s::date::timestamp AT TIME ZONE 'UTC'
  AND created_at < (%(last)s::date + 1)::timestamp AT TIME ZONE 'UTC'
GROUP BY 1, 2
"""
_CALLS = """
SELECT run_id, (created_at AT TIME ZONE 'UTC')::date, upstream_model, input_tokens + cached_input_tokens + cache_write_tokens,
       cached_input_tokens, output_tokens + reasoning_tokens, cost_usd
FROM spend_charge WHERE provider_id = %b AND created_at >= %b ORDER BY id
"""


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The rows that were kept; and of what the provider counts beyond the charges, what became of it."""

    rows: Sequence[ReconciledDay]
    lost: Sequence[str]
    unexplained: Sequence[str] = ()


def reconcile(*, provider_id: UUID, used: Sequence[UsedOnDay], source: str) -> Reconciled:
    """A row for each day and model that either side knows, between the export's first day and its last."""
    days = [one.day for one in used]
    with transaction.atomic():
        waste = list_waste(days, provider_id=provider_id)
        found = compare(used, _read_ours(provider_id, min(days), max(days)), waste)
        return Reconciled(_keep(provider_id, source, found), [_told(one) for one in waste])


def reconcile_calls(*, provider_id: UUID, witness: Witness, unused: Iterable[tuple[UUID, str]], source: str) -> Reconciled:
    """Call by call: each that was delivered is one that was charged, or one of a run that was given up. Once all work has ended.

    `unused`: runs that came to nothing, with the reason; also those that no money was set aside for.
    """
    with transaction.atomic():
        lost = {hash_of_run(run_id): Lost(why) for run_id, why in unused}
        wasted_usd = Decimal(0)
        for run_id, why, calls, most_usd in waste_of_runs(provider_id=provider_id, since=witness.since):
            lost.setdefault(hash_of_run(run_id), Lost(why, calls))
            wasted_usd += most_usd
        found = match_calls(witness.delivered, _read_calls(provider_id, witness.since), lost, witness.others)
        return Reconciled(_keep(provider_id, source, found.rows), _told_lost(found, wasted_usd), found.unexplained)


def _told(waste: WasteOfDay) -> str:
    model = f" of {waste.model}" if waste.model else ""
    amount = f"{waste.most_usd.normalize():f}"
    return f"{waste.day} written off as waste ({waste.reason}): {_calls(waste.calls)}{model}, at most ${amount}; it may have answered them."


def _told_lost(found: Matched, wasted_usd: Decimal) -> list[str]:
    calls = [f"delivered and not charged ({why}): {_calls(number)}" for why, number in sorted(found.lost.items())]
    amount = f"{wasted_usd.normalize():f}"
    return [*calls, f"written off as waste since then, for these and for calls that were never answered: at most ${amount}"]


def _calls(number: int) -> str:
    return f"{number} call" if number == 1 else f"{number} calls"


def _read_ours(provider_id: UUID, first: date, last: date) -> dict[tuple[date, str], Side]:
    with server_cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute(_OURS, {"provider_id": provider_id, "first": first, "last": last})
        return {(row[0], row[1]): Side(*row[2:]) for row in cursor}


def _read_calls(provider_id: UUID, since: datetime) -> dict[str, list[Charged]]:
    found: dict[str, list[Charged]] = {}
    with server_cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute(_CALLS, (provider_id, since))
        for run_id, *call in cursor:
            found.setdefault(hash_of_run(run_id), []).append(Charged(*call))
    return found


def _keep(provider_id: UUID, source: str, rows: Iterable[Compared]) -> list[ReconciledDay]:
    return ReconciledDay.objects.bulk_create([_row(provider_id, source, row) for row in rows], batch_size=1000)


def _row(provider_id: UUID, source: str, row: Compared) -> ReconciledDay:
    sides = (("their", row.theirs), ("our", row.ours), ("wasted", row.wasted))
    numbers = {f"{word}_{name}": getattr(side, name) for word, side in sides for name in MEASURES}
    return ReconciledDay(
        id=uuid7(),
        source=source[:200],
        provider_id=provider_id,
        day=row.day,
        upstream_model=row.model[:200],
        is_equal=row.is_equal,
        **numbers,
    )
