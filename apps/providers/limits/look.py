"""Look at buckets without touching them."""

from collections.abc import Sequence
from typing import Any

import redis

from apps.lib.redis_client import redis_client
from apps.providers.domain.bucket_state import BucketState, read_bucket
from apps.providers.limits.shared import PREFIX


def look(keys: Sequence[str]) -> dict[str, BucketState]:
    """How each of these buckets stands, in one round trip; raises RedisError when Redis is away."""
    with redis_client().pipeline(transaction=False) as pipeline:
        pipeline.time()
        for key in keys:
            pipeline.hgetall(f"{PREFIX}{{{key}}}")
        clock, *told = list[Any](pipeline.execute(raise_on_error=False))
    now_ms = int(clock[0]) * 1000 + int(clock[1]) / 1000
    # A key that is no hash says nothing of its bucket.
    states = [{} if isinstance(state, redis.ResponseError) else state for state in told]
    return {key: read_bucket(state, now_ms=now_ms) for key, state in zip(keys, states, strict=True)}
