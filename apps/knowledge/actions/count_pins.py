"""Running counters of pinned retrievals, for /metrics; they may start anew when Redis does."""

from functools import partial

import redis
import structlog
from django.db import transaction

from apps.knowledge.queries import PIN_COUNTS_KEY
from apps.lib.redis_client import figures_pipeline

log = structlog.get_logger(__name__)


def count_pin(outcome: str) -> None:
    """After commit. `won`: what was found is the state's; `lost`: another search was first; `read`: it was pinned when it was asked for."""
    transaction.on_commit(partial(_count, outcome))


def _count(outcome: str) -> None:
    try:
        with figures_pipeline() as pipeline:
            pipeline.hincrby(PIN_COUNTS_KEY, outcome, 1)
    except redis.RedisError as error:
        log.warning("pins_not_counted", error=str(error))
