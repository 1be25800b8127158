"""Connections to Redis/Valkey, for signals between processes; never a store of record."""

from functools import cache

import redis
import redis.asyncio
from django.conf import settings

_TIMEOUT_SECONDS = 5


@cache
def redis_client() -> "redis.Redis":
    """This process's shared, thread-safe client."""
    return redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=_TIMEOUT_SECONDS, socket_connect_timeout=_TIMEOUT_SECONDS, decode_responses=True
    )


def open_async_redis() -> "redis.asyncio.Redis":
    """A client of its own for one event loop; the caller closes it."""
    return redis.asyncio.Redis.from_url(
        settings.REDIS_URL, socket_connect_timeout=_TIMEOUT_SECONDS, health_check_interval=10, decode_responses=True
    )
