"""Count requests by target and outcome in Redis, as pages show them; the exchanges are the truth, these may start anew when Redis does."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import redis
import structlog

from apps.lib.redis_client import figures_pipeline
from apps.traces.domain.records import ExchangeRecord
from apps.traces.domain.slots import LAST_DAY, LAST_HOUR, SINCE_KEY, field_name

log = structlog.get_logger(__name__)
_SLOTS = (LAST_HOUR, LAST_DAY)


def count_outcomes(exchanges: Sequence[ExchangeRecord], *, now: datetime) -> None:
    """At once, each in the slots that it ended in; without Redis they are lost, and the log says so."""
    if not exchanges:
        return
    counts: Counter[tuple[float, str]] = Counter()
    for exchange in exchanges:
        ended_at = exchange.sent_at.timestamp() + exchange.duration_seconds
        counts[ended_at // LAST_HOUR.seconds * LAST_HOUR.seconds, field_name(exchange.target_id, exchange.outcome)] += 1
    try:
        with figures_pipeline() as pipeline:
            pipeline.set(SINCE_KEY, now.isoformat(), nx=True)
            for (at, name), number in counts.items():
                for slots in _SLOTS:
                    pipeline.hincrby(slots.key(at), name, number)
            for key, slots in {(slots.key(at), slots) for at, _ in counts for slots in _SLOTS}:
                pipeline.expire(key, slots.kept_seconds)
    except redis.RedisError as error:
        log.warning("outcomes_not_counted", error=str(error))
