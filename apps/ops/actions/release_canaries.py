"""Prove that each queue is served: send a canary through it, and note when it lands."""

import time

from apps.lib.enqueue import enqueue
from apps.lib.redis_client import redis_client
from apps.ops.queries.health import CANARY_KEY, CANARY_SECONDS, WATCHED_QUEUES


def release_canaries() -> None:
    """One canary into each queue."""
    for queue in WATCHED_QUEUES:
        enqueue("ops.land_canary", queue=queue, on_queue=queue)


def land_canary(*, on_queue: str) -> None:
    """A worker took the canary from its queue: that is noted for as long as it proves anything."""
    redis_client().set(CANARY_KEY.format(queue=on_queue), f"{time.time():.3f}", ex=CANARY_SECONDS)
