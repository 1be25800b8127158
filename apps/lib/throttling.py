"""How often a caller may ask: a budget per API key, reads and writes apart, shared by all web processes through Redis.

One round trip per request. While Redis is down everybody is let in: a limit on haste is worth less than the work itself.
"""

import math
import time
from collections.abc import Sequence
from functools import cache
from typing import Any
from uuid import UUID

import redis
import structlog
from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from apps.lib.http_errors import TOO_OFTEN, ApiError

log = structlog.get_logger(__name__)

_READS = {"GET", "HEAD", "OPTIONS"}
_TIMEOUT_SECONDS = 0.25
# A Redis that hangs would cost each request the timeout; after a failure nobody asks for a while.
_AGAIN_SECONDS = 5.0
# The bucket refills evenly through its time (a minute, unless one says otherwise) and holds that time's worth. What is kept is the
# moment at which it is full again; it expires then. Answers 0, or the milliseconds to wait. For scripts that begin with it.
BUCKET = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + clock[2] / 1000
local function take(key, most, time)
    time = tonumber(time or 60000)
    local full = math.max(tonumber(redis.call('GET', key) or now), now) + time / tonumber(most)
    if full - now > time + 0.5 then return math.ceil(full - now - time) end
    redis.call('SET', key, string.format('%.3f', full), 'PX', math.ceil(full - now))
    return 0
end
"""
_TAKE = BUCKET + "return take(KEYS[1], ARGV[1])"


class _Rest:
    """Until when a Redis that has just failed us is left alone."""

    until = 0.0


def milliseconds_to_wait(script: str, keys: Sequence[str], *arguments: str | float) -> int:
    """What a script that ends in a bucket's answer says; 0 while Redis is down."""
    if time.monotonic() < _Rest.until:
        return 0
    try:
        return int(_client().eval(script, len(keys), *keys, *arguments))
    except redis.RedisError as error:
        _Rest.until = time.monotonic() + _AGAIN_SECONDS
        log.warning("not_throttling", error=str(error), again_in_seconds=_AGAIN_SECONDS)
        return 0


class KeyThrottle(BaseThrottle):
    """REST framework asks it before each view; a refusal becomes 429 with Retry-After."""

    def __init__(self) -> None:
        self._wait_seconds = 0.0

    def allow_request(self, request: Request, view: Any) -> bool:  # noqa: ARG002 -- the framework's signature
        key = getattr(request.auth, "pk", None)
        if key is not None:
            self._wait_seconds = _take_turn(key, is_read=request.method in _READS)
        return self._wait_seconds == 0

    def wait(self) -> float:
        return self._wait_seconds


def require_turn(key_id: UUID) -> None:
    """For doors that are not REST framework's, and read: ApiError 429 when the key asks too often."""
    if seconds := _take_turn(key_id, is_read=True):
        raise ApiError(429, "rate_limit_exceeded", TOO_OFTEN, headers={"Retry-After": f"{math.ceil(seconds)}"})


def _take_turn(key_id: UUID, *, is_read: bool) -> float:
    """Seconds to wait; 0: its turn is taken."""
    kind, per_minute = ("read", settings.API_READS_PER_MINUTE) if is_read else ("write", settings.API_WRITES_PER_MINUTE)
    return milliseconds_to_wait(_TAKE, [f"aiplatform:throttle:{kind}:{key_id}"], per_minute) / 1000 if per_minute else 0.0


@cache
def _client() -> "redis.Redis":
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=_TIMEOUT_SECONDS, socket_connect_timeout=_TIMEOUT_SECONDS)
