"""Figures for Redis: sent together, and while it is silent nobody waits for it."""

import asyncio
import time

import pytest
import redis

from apps.lib import redis_client as module
from apps.lib.redis_client import figures_pipeline, open_async_redis, redis_client

KEY = "aiplatform:test-figures"


def add_one() -> None:
    with figures_pipeline() as pipeline:
        pipeline.incr(KEY)


@pytest.fixture(autouse=True)
def _no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module._Rest, "until", 0.0)
    monkeypatch.setattr(module, "_REST_SECONDS", 600.0)


def test_figures_are_sent_at_the_end_of_the_block() -> None:
    redis_client().delete(KEY)
    add_one()
    assert redis_client().get(KEY) == "1"


def test_a_redis_that_failed_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    redis_client().delete(KEY)
    with monkeypatch.context() as gone:
        gone.setattr(module, "_hasty_client", lambda: redis.Redis.from_url("redis://127.0.0.1:1/0"))
        with pytest.raises(redis.ConnectionError, match=":1"):
            add_one()
    with pytest.raises(redis.ConnectionError, match="left alone"):
        add_one()
    monkeypatch.setattr(module._Rest, "until", time.monotonic())
    add_one()
    assert redis_client().get(KEY) == "1"


async def test_whoever_is_cancelled_ends_wherever_it_is_in_talking_to_redis() -> None:
    """At each step of connecting, sending and reading."""

    async def talk_for_ever(begin: asyncio.Event) -> None:
        async with open_async_redis() as client:
            while True:
                await begin.wait()
                begin.clear()
                async with client.pipeline(transaction=False) as pipeline:
                    pipeline.delete(KEY)
                    await pipeline.execute()

    for steps in range(40):
        begin = asyncio.Event()
        talking = asyncio.create_task(talk_for_ever(begin))
        begin.set()
        for _ in range(steps):
            await asyncio.sleep(0)
        talking.cancel()
        await asyncio.wait([talking], timeout=20)
        assert talking.cancelled(), f"it went on after {steps} steps"


async def test_a_redis_that_takes_nothing_more_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TIMEOUT_SECONDS", 0.2)
    async with open_async_redis() as client:
        await client.ping()
        connection = client.connection_pool._available_connections[0]
        monkeypatch.setattr(connection._writer, "drain", asyncio.Event().wait)
        with pytest.raises(redis.TimeoutError, match="writing"):
            await connection.send_command("PING")
        assert (connection.is_connected, connection.socket_timeout) == (False, 0.2)
