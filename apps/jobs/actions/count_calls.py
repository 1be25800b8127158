"""Running counters of what was settled, for /metrics; Postgres holds the truth, these may start anew when Redis does."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import redis
import structlog
from django.db import transaction

from apps.jobs.domain.settlement import Settlement
from apps.jobs.queries import COUNTERS_KEY
from apps.lib.redis_client import figures_pipeline
from apps.providers.domain.outcomes import Outcome
from apps.traces.actions import count_outcomes
from apps.traces.domain.records import ExchangeRecord

log = structlog.get_logger(__name__)


def count_calls(settled: Sequence[Settlement]) -> None:
    """After commit, add a group to the counters: runs by outcome and decision, requests by provider and target, tokens by kind, dollars."""
    counts: Counter[str] = Counter()
    exchanges = [exchange for settlement in settled for exchange in settlement.exchanges]
    cost = 0.0
    for settlement in settled:
        counts[f"outcome:{settlement.run.outcome}"] += 1
        counts[f"decision:{settlement.run.decision}"] += 1
        counts["retries"] += settlement.run.attempt > 1
        _count_requests(settlement.exchanges, counts)
        for charge in settlement.charges:
            counts["tokens:input"] += charge.input_tokens
            counts["tokens:cached_input"] += charge.cached_input_tokens
            counts["tokens:output"] += charge.output_tokens
            counts["tokens:reasoning"] += charge.reasoning_tokens
            counts["unpriced"] += charge.price_id is None
            cost += float(charge.cost_usd)
    if counts:
        transaction.on_commit(partial(add_counts, counts, cost))
        transaction.on_commit(partial(count_outcomes, exchanges, now=settled[-1].finished.ended_at))


def _count_requests(exchanges: Sequence[ExchangeRecord], counts: Counter[str]) -> None:
    """Each request by its provider and outcome; each step to another target after a failure by the provider that was left.

    A step after an answer is no failover: a recipe may ask a second model when the first one's answer did not do.
    """
    for exchange in exchanges:
        counts[f"request:{exchange.provider_id.hex}:{exchange.outcome}"] += 1
    for left, taken in pairwise(exchanges):
        if left.target_id != taken.target_id and left.outcome != Outcome.OK:
            counts[f"failover:{left.provider_id.hex}"] += 1


def add_counts(counts: Counter[str], cost: float = 0.0) -> None:
    """At once; without Redis they are lost, and the log says so."""
    try:
        with figures_pipeline() as pipeline:
            for name, number in counts.items():
                if number:
                    pipeline.hincrby(COUNTERS_KEY, name, number)
            if cost:
                pipeline.hincrbyfloat(COUNTERS_KEY, "cost_usd", cost)
    except redis.RedisError as error:
        log.warning("counters_not_kept", error=str(error))
