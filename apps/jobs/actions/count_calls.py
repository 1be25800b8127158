"""Running counters of what was settled, for /metrics; Postgres holds the truth, these may start anew when Redis does."""

from collections import Counter
from collections.abc import Sequence
from functools import partial

import redis
import structlog
from django.db import transaction

from apps.jobs.domain.settlement import Settlement
from apps.jobs.queries import COUNTERS_KEY
from apps.lib.redis_client import redis_client

log = structlog.get_logger(__name__)


def count_calls(settled: Sequence[Settlement]) -> None:
    """After commit, add a group to the counters: runs by outcome and decision, tokens by kind, dollars."""
    counts: Counter[str] = Counter()
    cost = 0.0
    for settlement in settled:
        counts[f"outcome:{settlement.run.outcome}"] += 1
        counts[f"decision:{settlement.run.decision}"] += 1
        for charge in settlement.charges:
            counts["tokens:input"] += charge.input_tokens
            counts["tokens:cached_input"] += charge.cached_input_tokens
            counts["tokens:output"] += charge.output_tokens
            counts["tokens:reasoning"] += charge.reasoning_tokens
            cost += float(charge.cost_usd)
    if counts:
        transaction.on_commit(partial(_add, counts, cost))


def _add(counts: Counter[str], cost: float) -> None:
    try:
        with redis_client().pipeline(transaction=False) as pipeline:
            for name, number in counts.items():
                if number:
                    pipeline.hincrby(COUNTERS_KEY, name, number)
            pipeline.hincrbyfloat(COUNTERS_KEY, "cost_usd", cost)
            pipeline.execute()
    except redis.RedisError as error:
        log.warning("counters_not_kept", error=str(error))
