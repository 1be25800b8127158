"""Hear that there is something to claim; deafness costs a second, because pumps also look by themselves."""

import asyncio

import redis
import structlog

from apps.jobs.actions.ring import wake_channel
from apps.lib.redis_client import open_async_redis

log = structlog.get_logger(__name__)

_AGAIN_SECONDS = 2.0


async def listen_for_wakes(worker_set: str, wake: asyncio.Event) -> None:
    """Set `wake` whenever someone rings for `worker_set`; goes on until it is cancelled."""
    while True:
        try:
            async with open_async_redis() as client, client.pubsub() as subscription:
                await subscription.subscribe(wake_channel(worker_set))
                async for _ in subscription.listen():
                    wake.set()
        except (redis.RedisError, OSError) as error:
            log.warning("not_listening", worker_set=worker_set, error=str(error))
        await asyncio.sleep(_AGAIN_SECONDS)
