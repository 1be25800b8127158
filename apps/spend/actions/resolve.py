"""Resolve: end reservations, each once, inside the transaction that ends their runs. What is not used is free again."""

from collections.abc import Sequence

from apps.lib.sql import ids_text, numbers_text, server_cursor
from apps.spend.domain.charges import Ended

# A second resolution of the same reservation changes nothing. Waste is the operator's: of the counters, it stays in the platform's alone.
# Runs of one owner stand in the same counters, so they are summed before these are told apart. The counters are locked last, in their
# order; nothing but the commit comes after them.
_RESOLVE = """
WITH resolved AS (
    INSERT INTO spend_resolution (reservation_id, kind, amount_usd, waste_usd)
    SELECT reservation.id, ended.kind, CASE ended.kind WHEN 'waste' THEN coalesce(ended.amount, reservation.amount_usd)
                                                       WHEN 'charge' THEN ended.amount ELSE 0 END,
           CASE ended.kind WHEN 'charge' THEN ended.waste ELSE 0 END
    FROM unnest(%s::uuid[], %s::text[], %s::numeric[], %s::numeric[]) AS ended (run_id, kind, amount, waste)
    JOIN spend_reservation AS reservation ON reservation.id = ended.run_id
    ON CONFLICT (reservation_id) DO NOTHING
    RETURNING reservation_id, kind, amount_usd, waste_usd
), chains AS (
    SELECT reservation.period_ids, sum(reservation.amount_usd) AS reserved,
           sum(resolved.amount_usd) FILTER (WHERE kind = 'charge') AS charged,
           sum(CASE kind WHEN 'waste' THEN resolved.amount_usd ELSE resolved.waste_usd END) AS wasted
    FROM resolved JOIN spend_reservation AS reservation ON reservation.id = resolved.reservation_id
    GROUP BY reservation.period_ids
), sums AS (
    SELECT period_id, sum(reserved) AS reserved, coalesce(sum(charged), 0) AS charged, sum(wasted) AS wasted
    FROM chains CROSS JOIN LATERAL unnest(period_ids) AS period_id
    GROUP BY period_id
), locked AS MATERIALIZED (
    SELECT period.id, sums.reserved, sums.charged, sums.wasted
    FROM sums JOIN spend_budgetperiod AS period ON period.id = sums.period_id
    ORDER BY period.rank, period.id FOR NO KEY UPDATE OF period
)
UPDATE spend_budgetperiod AS period
SET reserved_usd = reserved_usd - locked.reserved,
    spent_usd = spent_usd + locked.charged + CASE period.rank WHEN 0 THEN locked.wasted ELSE 0 END
FROM locked WHERE period.id = locked.id
"""


def resolve(ended: Sequence[Ended]) -> None:
    """Those of these runs that have a reservation, resolved; of the others nothing is said."""
    if not ended:
        return
    kinds = "{" + ",".join([one.kind for one in ended]) + "}"
    with server_cursor() as cursor:
        amounts = numbers_text(one.amount_usd for one in ended), numbers_text(one.waste_usd for one in ended)
        cursor.execute(_RESOLVE, (ids_text(one.run_id for one in ended), kinds, *amounts))
