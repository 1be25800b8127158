"""Settle: the only place that ends a run. Outcomes become rows, for a whole group in one transaction."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction

from apps.jobs.actions.announce import announce_ended
from apps.jobs.actions.bury import Death, bury
from apps.jobs.actions.count_calls import count_calls
from apps.jobs.domain.claimed import Finished
from apps.jobs.domain.retry import Decision, Policy
from apps.jobs.domain.settlement import Settlement, settle_finished
from apps.lib.enqueue import enqueue
from apps.lib.failpoints import failpoint
from apps.lib.ids import uuid7
from apps.lib.sql import begin_short, server_cursor
from apps.providers.actions import keep_answers
from apps.providers.domain.calls import Stage
from apps.spend.actions import record_charges, record_savings, record_waste, resolve
from apps.spend.domain.pricing import PriceBook
from apps.traces.actions import record_exchanges, record_runs, store_bodies, use_bodies

# The draft of an item that calls tools, which the next run would have gone on from; the row is as the claim left it.
LEFT_DRAFT = f"CASE WHEN item.stage = {Stage.TOOLS.value} THEN item.answer_body_id END"
# Fenced: only the run that holds the item may end it. A late writer matches no row and writes nothing.
# (CASE hides the state from the planner, which would read the whole index of running items instead of looking up each id.)
_END_ITEMS = f"""
UPDATE jobs_item AS item
SET state = ended.state, run_id = CASE WHEN ended.state = 'waiting' THEN NULL ELSE item.run_id END, pump_id = NULL, lease_until = NULL,
    not_before = CASE WHEN ended.state = 'waiting' THEN coalesce(statement_timestamp() + ended.delay * interval '1 second', item.not_before)
                      ELSE item.not_before END,
    ended_at = CASE WHEN ended.state = 'waiting' THEN NULL ELSE ended.ended_at END,
    attempts = ended.attempts, ambiguous_tries = ended.ambiguous, free_tries = ended.free,
    answer_body_id = ended.answer_body_id, status_code = ended.status_code, outcome = ended.outcome,
    error_code = ended.error_code, error_message = ended.error_message,
    input_tokens = item.input_tokens + ended.input_tokens, output_tokens = item.output_tokens + ended.output_tokens,
    cost_usd = item.cost_usd + ended.cost_usd, stage = ended.stage, paid_calls = ended.paid_calls, answered_by = ended.answered_by,
    model_id = ended.model_id, draft_body_id = CASE WHEN ended.state = 'dead' THEN {LEFT_DRAFT} END
FROM unnest(%b::uuid[], %b::uuid[], %b::text[], %b::float8[], %b::timestamptz[], %b::int4[], %b::int4[], %b::int4[], %b::bytea[],
            %b::int4[], %b::text[], %b::text[], %b::text[], %b::int8[], %b::int8[], %b::numeric[], %b::int2[], %b::int2[], %b::text[],
            %b::uuid[])
     AS ended (id, run_id, state, delay, ended_at, attempts, ambiguous, free, answer_body_id, status_code, outcome, error_code,
               error_message, input_tokens, output_tokens, cost_usd, stage, paid_calls, answered_by, model_id)
WHERE item.id = ended.id AND CASE WHEN item.state = 'running' THEN item.run_id = ended.run_id END
RETURNING item.id
"""  # noqa: S608 -- constants of this module
# Locked in one order everywhere, so that two pumps that settle the same jobs never wait for each other in a circle.
LOCK_JOBS = "SELECT id FROM jobs_job WHERE id = ANY(%b::uuid[]) ORDER BY id FOR NO KEY UPDATE"
_COUNT_JOBS = """
UPDATE jobs_job AS job
SET done = job.done + sums.done, dead = job.dead + sums.dead, input_tokens = job.input_tokens + sums.input_tokens,
    cached_input_tokens = job.cached_input_tokens + sums.cached, output_tokens = job.output_tokens + sums.output_tokens,
    reasoning_tokens = job.reasoning_tokens + sums.reasoning, cost_usd = job.cost_usd + sums.cost_usd,
    cache_hits = job.cache_hits + sums.hits, cache_saved_usd = job.cache_saved_usd + sums.hits_saved_usd,
    first_asked = job.first_asked + sums.first_asked, first_accepted = job.first_accepted + sums.first_accepted,
    first_saved_usd = job.first_saved_usd + sums.first_saved_usd, repaired = job.repaired + sums.repaired,
    status = CASE WHEN job.kind = 'single' AND sums.done + sums.dead > 0 THEN 'completed' ELSE job.status END,
    ended_at = CASE WHEN job.kind = 'single' AND sums.done + sums.dead > 0 THEN statement_timestamp() ELSE job.ended_at END
FROM unnest(%b::uuid[], %b::int4[], %b::int4[], %b::int8[], %b::int8[], %b::int8[], %b::int8[], %b::numeric[],
            %b::int4[], %b::numeric[], %b::int4[], %b::int4[], %b::numeric[], %b::int4[])
     AS sums (id, done, dead, input_tokens, cached, output_tokens, reasoning, cost_usd,
              hits, hits_saved_usd, first_asked, first_accepted, first_saved_usd, repaired)
WHERE job.id = sums.id
RETURNING job.id, job.kind <> 'single' AND (job.done + job.dead >= job.total OR job.status = 'cancelling' OR job.closes_as <> 'completed')
"""


@dataclass(slots=True)
class _Sums:
    """In the order of `_COUNT_JOBS`."""

    done: int = 0
    dead: int = 0
    input_tokens: int = 0
    cached: int = 0
    output_tokens: int = 0
    reasoning: int = 0
    cost_usd: Decimal = Decimal(0)
    hits: int = 0
    hits_saved_usd: Decimal = Decimal(0)
    first_asked: int = 0
    first_accepted: int = 0
    first_saved_usd: Decimal = Decimal(0)
    repaired: int = 0

    def add(self, settled: Settlement) -> None:
        self.done += settled.decision is Decision.DONE
        self.dead += settled.decision is Decision.DEAD
        for charge in settled.charges:
            self.input_tokens += charge.input_tokens + charge.cached_input_tokens + charge.cache_write_tokens
            self.cached += charge.cached_input_tokens
            self.output_tokens += charge.output_tokens + charge.reasoning_tokens
            self.reasoning += charge.reasoning_tokens
            self.cost_usd += charge.cost_usd
        if (course := settled.finished.completion.course) is not None:
            self.hits += settled.is_cached
            self.hits_saved_usd += settled.savings.by_cache_usd
            self.first_asked += course.is_accepted is not None
            self.first_accepted += bool(course.is_accepted)
            self.first_saved_usd += settled.savings.by_first_usd
            self.repaired += course.answered_by == "repair" and settled.decision is Decision.DONE


_COUNTED = _Sums.__slots__


def settle_group(group: Sequence[Finished], *, pump_id: UUID, prices: PriceBook) -> list[Settlement]:
    """End the runs of `group`; what another has settled meanwhile is left out of the answer and leaves no trace."""
    settlements = [
        settle_finished(
            finished,
            pump_id=pump_id,
            prices=prices,
            policy=_policy(finished),
            chance=random.random(),  # noqa: S311 -- jitter
            new_id=uuid7,
        )
        for finished in group
    ]
    with transaction.atomic():
        won = _end_items(settlements)
        settled = [settlement for settlement in settlements if settlement.finished.item.item_id in won]
        store_bodies([body for settlement in settled for body in settlement.bodies])
        use_bodies([settlement.answer_body_id for settlement in settled if settlement.is_cached and settlement.answer_body_id])
        record_runs([settlement.run for settlement in settled])
        record_exchanges([exchange for settlement in settled for exchange in settlement.exchanges])
        record_charges([charge for settlement in settled for charge in settlement.charges])
        record_savings([saving for settlement in settled if (saving := settlement.saving()) is not None])
        record_waste([waste for settlement in settled for waste in settlement.wasted])
        bury(map(_death, (one for one in settled if one.decision is Decision.DEAD)))
        keep_answers([entry for settlement in settled if (entry := settlement.new_entry()) is not None])
        _count_jobs(settled)
        announce_ended(settled)
        count_calls(settled)
        # The last locks of all, and the most wanted: the counters of budgets.
        resolve([ended for one in settled if (ended := one.ended) is not None])
        failpoint("settle.before_commit")
    failpoint("settle.after_commit")
    return settled


def _death(settlement: Settlement) -> Death:
    exchanges = settlement.finished.completion.exchanges
    return Death(
        item_id=settlement.finished.item.item_id,
        outcome=settlement.finished.completion.outcome,
        code=settlement.error_code,
        message=settlement.error_message,
        provider_id=exchanges[-1].provider_id if exchanges else None,
        status_code=settlement.finished.completion.status_code,
        prompt_version=settlement.finished.item.prompt_version,
    )


def _policy(finished: Finished) -> Policy:
    return Policy(
        max_attempts=settings.JOBS_MAX_ATTEMPTS,
        max_outage_tries=settings.JOBS_MAX_OUTAGE_TRIES,
        base_seconds=settings.JOBS_RETRY_BASE_SECONDS,
        cap_seconds=settings.JOBS_RETRY_CAP_SECONDS,
        is_awaited=finished.item.kind == "single",
    )


def _end_items(settlements: Sequence[Settlement]) -> set[UUID]:
    rows = [settlement.item_row() for settlement in settlements]
    with server_cursor() as cursor:
        begin_short(cursor)
        cursor.execute(_END_ITEMS, [list(column) for column in zip(*rows, strict=True)])
        return {row[0] for row in cursor}


def _count_jobs(settled: Sequence[Settlement]) -> None:
    sums: dict[UUID, _Sums] = {}
    for settlement in settled:
        if settlement.decision in {Decision.DONE, Decision.DEAD} or settlement.finished.completion.course is not None:
            sums.setdefault(settlement.finished.item.job_id, _Sums()).add(settlement)
    if not sums:
        return
    ids = sorted(sums)
    columns: list[list[Any]] = [ids, *([getattr(sums[job_id], name) for job_id in ids] for name in _COUNTED)]
    with server_cursor() as cursor:
        cursor.execute(LOCK_JOBS, (ids,))
        cursor.execute(_COUNT_JOBS, columns)
        ended = [job_id for job_id, is_over in cursor if is_over]
    for job_id in ended:
        enqueue("jobs.finish_job", queue="ingest", job_id=str(job_id))
