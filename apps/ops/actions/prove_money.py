"""Prove that the sums of money are equal: charges, jobs, and the ledger of reservations, at one moment; and keep what was found."""

import time
from datetime import datetime
from typing import Any

from django.db import transaction

from apps.lib.sql import server_cursor
from apps.spend.actions import record_proof
from apps.spend.domain.proof import Sums
from apps.spend.queries import check_counters

_EXAMPLES = 5
# One statement sees one moment, so that nothing needs to rest. Jobs that were forgotten count as their charges do.
_LOOK = """
WITH charged AS (
    SELECT job_id, sum(cost_usd) AS cost, count(*) AS number, count(*) FILTER (WHERE price_id IS NULL) AS unpriced
    FROM spend_charge GROUP BY job_id
), of_jobs AS (
    SELECT coalesce(job.id, charged.job_id) AS job_id, coalesce(cost, 0) AS cost, coalesce(job.cost_usd, cost) AS counted, number, unpriced
    FROM charged FULL JOIN jobs_job AS job ON job.id = charged.job_id
), wrong AS (
    SELECT job_id, cost, counted FROM of_jobs WHERE cost <> counted
)
SELECT coalesce(sum(number), 0)::int8, coalesce(sum(cost), 0), coalesce(sum(counted), 0), coalesce(sum(unpriced), 0)::int8,
       (SELECT coalesce(sum(cost_usd), 0) FROM spend_charge JOIN spend_reservation ON spend_reservation.id = run_id),
       (SELECT coalesce(sum(amount_usd), 0) FROM spend_resolution WHERE kind = 'charge'),
       (SELECT coalesce(sum(amount_usd), 0) FROM spend_waste),
       (SELECT coalesce(sum(amount_usd), 0) FROM spend_reservation AS open
        WHERE NOT EXISTS (SELECT FROM spend_resolution WHERE reservation_id = open.id)),
       (SELECT count(*) FROM jobs_item WHERE state = 'running'),
       (SELECT count(*) FROM wrong),
       (SELECT array_agg(format('job %%s counts $%%s, its charges are $%%s', job_id, counted, cost))
        FROM (SELECT * FROM wrong ORDER BY job_id LIMIT %b) AS first)
FROM of_jobs
"""


def prove_money(*, now: datetime) -> dict[str, Any]:
    """What was found, in short. It reads every charge, so it is for a beat; pages read what it kept."""
    began = time.monotonic()
    with transaction.atomic(), server_cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute(_LOOK, (_EXAMPLES,))
        number, charged, counted, unpriced, bounded, ledger, wasted, reserved, running, wrong_jobs, examples = cursor.fetchall()[0]
    wrong_counters = check_counters()
    sums = Sums(
        charges=number,
        charged_usd=charged,
        jobs_usd=counted,
        bounded_usd=bounded,
        ledger_usd=ledger,
        wasted_usd=wasted,
        reserved_usd=reserved,
        running=running,
        unpriced=unpriced,
        wrong_jobs=wrong_jobs,
        wrong_counters=len(wrong_counters),
        examples=[*(examples or []), *wrong_counters[:_EXAMPLES]],
    )
    record_proof(sums=sums, checked_at=now, seconds=time.monotonic() - began)
    return {"is_whole": sums.is_whole, "charges": number, "charged_usd": str(charged), "differences": sums.examples}
