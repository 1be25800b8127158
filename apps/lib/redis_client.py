"""Connections to Redis/Valkey, for signals between processes; never a store of record."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import redis
import redis.asyncio
import structlog
from django.conf import settings

from apps.lib.loose_numbers import read_number

log = structlog.get_logger(__name__)

_TIMEOUT_SECONDS = 5
_HASTE_SECONDS = 1
_REST_SECONDS = 10.0
# Bytes that are no text of ours are read as garbage: none of them may end a page.
_AS_TEXT: Any = {"decode_responses": True, "encoding_errors": "replace"}


@cache
def redis_client() -> "redis.Redis":
    """This process's shared, thread-safe client."""
    return _client(_TIMEOUT_SECONDS)


@cache
def _hasty_client() -> "redis.Redis":
    return _client(_HASTE_SECONDS)


def _client(timeout: float) -> "redis.Redis":
    timeouts = {"socket_timeout": timeout, "socket_connect_timeout": timeout}
    return redis.Redis.from_url(settings.REDIS_URL, **timeouts, **_AS_TEXT)


class _Rest:
    """Until when a Redis that has just failed us is left alone."""

    until = 0.0


def read_figures(key: str) -> dict[str, float]:
    """The numbers that a hash holds, by name. What is none counts as absent, and so does a key that is no hash: figures may be lost."""
    try:
        told = redis_client().hgetall(key)
    except redis.ResponseError as error:
        log.warning("figures_unreadable", key=key, error=str(error))
        return {}
    return {str(name): number for name, text in told.items() if (number := read_number(str(text))) is not None}


@contextmanager
def figures_pipeline() -> Iterator["redis.client.Pipeline"]:
    """Figures that may be lost, sent at the end of the block or before; RedisError when they are.

    Settling must not wait for a Redis that hangs: after a failure nobody asks it for ten seconds.
    """
    if time.monotonic() < _Rest.until:
        msg = "It failed a moment ago and is left alone."
        raise redis.ConnectionError(msg)
    with _hasty_client().pipeline(transaction=False) as pipeline:
        try:
            yield pipeline
            pipeline.execute()
        except redis.RedisError:
            _Rest.until = time.monotonic() + _REST_SECONDS
            raise


def open_async_redis() -> "redis.asyncio.Redis":
    """A client of its own for one event loop; the caller closes it."""
    timeouts: Any = {"socket_timeout": _TIMEOUT_SECONDS, "socket_connect_timeout": _TIMEOUT_SECONDS}
    client = redis.asyncio.Redis.from_url(settings.REDIS_URL, **timeouts, health_check_interval=10, **_AS_TEXT)
    pool: Any = client.connection_pool
    pool.connection_class = _sending_until_cancelled(pool.connection_class)
    return client


@cache
def _sending_until_cancelled(kind: Any) -> Any:
    """A class of connections (plain, TLS, Unix) of which a cancellation is never lost.

    The library sends with `asyncio.wait_for`, which in Python 3.11 swallows the one that comes in the moment in which a message has gone
    out: whoever was told to end would go on for ever.
    """

    class _Cancellable(kind):  # type: ignore[misc]  # made for each kind
        socket_timeout: float | None

        async def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002 -- the library's
            if not self.is_connected:
                await self.connect_check_health(check_health=False)
            if check_health:
                await self.check_health()
            seconds, self.socket_timeout = self.socket_timeout, None
            try:
                async with asyncio.timeout(seconds):
                    await super().send_packed_command(command, check_health=False)
            except TimeoutError as error:
                msg = "Timeout writing to socket"
                raise redis.TimeoutError(msg) from error
            finally:
                self.socket_timeout = seconds

    return _Cancellable
