"""The buckets in Redis: one script, sent for many buckets in one round trip."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import redis

from apps.lib.redis_client import open_async_redis
from apps.providers.domain.limits import NOTHING_TOLD
from apps.providers.limits.bucket import Bucket
from apps.providers.limits.talk import Answer, News

_SCRIPT = (Path(__file__).parent / "sync.lua").read_text()
PREFIX = "limits:"


class SharedBuckets:
    """A connection of one event loop."""

    def __init__(self) -> None:
        self.redis: Any = open_async_redis()
        self.script: str | None = None

    async def sync(self, buckets: Sequence[Bucket], *, pump: str, now: float, seconds: float = 2.0) -> list[Answer]:
        """Tell and ask; raises RedisError when Redis is away, and then what was told is told again."""
        asked = [(bucket, bucket.news, bucket.question(pump, now)) for bucket in buckets]
        try:
            # A Redis that hangs is as good as none.
            async with asyncio.timeout(seconds):
                return [_read(raw) for raw in await self._send(asked)]
        except (redis.RedisError, OSError, ValueError):
            for bucket, news, _ in asked:
                bucket.news = _add(news, bucket.news)
            raise

    async def _send(self, asked: list[Any]) -> list[Any]:
        if self.script is None:
            self.script = str(await self.redis.script_load(_SCRIPT))
        try:
            return await self._run(asked)
        except redis.exceptions.NoScriptError:
            # Redis was started anew: it has forgotten the script, and the first call had no effect.
            self.script = str(await self.redis.script_load(_SCRIPT))
            return await self._run(asked)

    async def _run(self, asked: list[Any]) -> list[Any]:
        async with self.redis.pipeline(transaction=False) as pipeline:
            for bucket, _, question in asked:
                name = f"{PREFIX}{{{bucket.key}}}"
                pipeline.evalsha(self.script, 2, name, f"{name}:seen", orjson.dumps(question))
            found: list[Any] = await pipeline.execute()
            return found

    async def close(self) -> None:
        await self.redis.aclose()


def _read(raw: str) -> Answer:
    return Answer(**{name: value for name, value in orjson.loads(raw).items() if name in Answer.__dataclass_fields__})


def _add(told: News, since: News) -> News:
    """News that was not heard, with what came meanwhile; permits that were dropped for it stay dropped."""
    for name in (
        "ok",
        "failed",
        "undecided",
        "throttled",
        "input_delta",
        "output_delta",
        "returned",
        "retry_cost",
        "taken",
        "late",
        "took",
    ):
        setattr(since, name, getattr(since, name) + getattr(told, name))
    for name in ("retry_after_seconds", "pause_seconds"):
        setattr(since, name, max(getattr(since, name), getattr(told, name)))
    if since.told is NOTHING_TOLD:
        since.told = told.told
    return since
