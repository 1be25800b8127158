"""Reserve: set money aside for a claimed group, inside the transaction that claims it. As many as fit get it; nobody exceeds a cap."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from apps.lib.sql import ids_text, numbers_text, server_cursor
from apps.spend.domain.budgets import Ask, Chains, Purses, Refusal, all_fit, grant, restated, sums_by_period

# Counters are what a transaction locks last, in one order everywhere: from the platform down to the job.
_LOCK = """
SELECT period.id, period.reserved_usd, period.spent_usd, budget.cap_usd + period.extra_usd
FROM spend_budgetperiod AS period JOIN spend_budget AS budget ON budget.id = period.budget_id
WHERE period.id = ANY(%b::uuid[]) ORDER BY period.rank, period.id FOR NO KEY UPDATE OF period
"""
# All or nothing: what the counters hold under the lock decides, and so does the cap as it stands at that moment.
_SET_ASIDE = """
WITH locked AS MATERIALIZED (
    SELECT period.id, wanted.amount, NOT wanted.is_hard OR reserved_usd + spent_usd + amount <= cap_usd + extra_usd AS fits
    FROM unnest(%s::uuid[], %s::numeric[], %b::bool[]) AS wanted (id, amount, is_hard)
    JOIN spend_budgetperiod AS period ON period.id = wanted.id JOIN spend_budget AS budget ON budget.id = period.budget_id
    ORDER BY period.rank, period.id FOR NO KEY UPDATE OF period
), counted AS (
    UPDATE spend_budgetperiod AS period SET reserved_usd = reserved_usd + locked.amount
    FROM locked WHERE period.id = locked.id AND (SELECT count(*) FILTER (WHERE fits) FROM locked) = %b
    RETURNING period.id
)
INSERT INTO spend_reservation (id, workspace_id, job_id, item_id, amount_usd, period_ids)
SELECT run_id, (%s::uuid[])[n], (%s::uuid[])[n], item_id, amount, (%b::text[])[n]::uuid[]
FROM unnest(%s::uuid[], %s::uuid[], %s::numeric[], %s::int4[]) AS fresh (run_id, item_id, amount, n)
WHERE (SELECT count(*) FROM counted) > 0
"""
_TRIES = 3


class CapExceededError(Exception):
    """The counters refuse what was granted under their lock: a defect. Nothing of the group is claimed."""


def reserve(asks: Sequence[Ask], purses: Purses) -> tuple[dict[UUID, bool], dict[UUID, Refusal]]:
    """Who got money (whether a hard budget bounds it) and who didn't, by run; one that no budget bounds is in neither."""
    chains = purses.chains(asks)
    chosen = {purse.period_id: purse for chain in chains.values() for purse in chain}
    if not chosen:
        return {}, {}
    with server_cursor() as cursor:
        bounded = [ask for ask in asks if chains[ask.subject]]
        # What was read without a lock says what to try. Only where that doesn't do are the counters held while it is computed who fits.
        if all_fit(bounded, chains) and _set_aside(cursor, bounded, chains):
            return _by_run(bounded, chains), {}
        for _ in range(_TRIES):
            cursor.execute(_LOCK, (list(chosen),))
            rows: Mapping[UUID, Any] = {row[0]: row[1:] for row in cursor}
            standing = Purses(restated(chosen.values(), rows))
            granted, refused = grant(asks, standing)
            held = standing.chains(granted)
            # Somebody may have lowered a cap since the lock.
            if not granted or _set_aside(cursor, granted, held):
                return _by_run(granted, held), refused
    raise CapExceededError


def _by_run(granted: Sequence[Ask], chains: Chains) -> dict[UUID, bool]:
    is_hard = {subject: any(purse.is_hard for purse in chain) for subject, chain in chains.items()}
    return {ask.run_id: is_hard[ask.subject] for ask in granted}


def _set_aside(cursor: Any, granted: Sequence[Ask], chains: Chains) -> bool:
    sums = sums_by_period(granted, chains)
    is_hard = {purse.period_id: purse.is_hard for chain in chains.values() for purse in chain}
    places = {subject: number for number, subject in enumerate(chains, start=1)}
    counters = (ids_text(sums), numbers_text(sums.values()), [is_hard[period_id] for period_id in sums], len(sums))
    owners = (
        ids_text(subject.workspace_id for subject in chains),
        ids_text(subject.job_id for subject in chains),
        [ids_text(purse.period_id for purse in chain) for chain in chains.values()],
    )
    columns = (
        ids_text(ask.run_id for ask in granted),
        ids_text(ask.item_id for ask in granted),
        numbers_text(ask.amount_usd for ask in granted),
        numbers_text(places[ask.subject] for ask in granted),
    )
    cursor.execute(_SET_ASIDE, (*counters, *owners, *columns))
    return bool(cursor.rowcount == len(granted))
