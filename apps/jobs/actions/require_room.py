"""Require room for new work: refused with 503 while too much waits or storage is short, bulk first, interactive last.

What it goes by is measured once in two seconds by each process; a request only looks at it.
"""

import time
from dataclasses import dataclass
from threading import Lock

import redis
import structlog
from django.conf import settings

from apps.files.queries import read_free_bytes
from apps.jobs.domain.lifecycle import Lane
from apps.jobs.domain.pressure import Limits, Load, Shortage, find_shortage
from apps.jobs.domain.ready import FIRST_READY
from apps.lib.http_errors import ApiError
from apps.lib.redis_client import redis_client
from apps.lib.sql import server_cursor

log = structlog.get_logger(__name__)

MEASURED_SECONDS = 2.0
_MEASURE = f"""
SELECT job.lane, coalesce(sum(greatest(job.total - job.done - job.dead, 0)), 0)::bigint,
       coalesce(extract(epoch FROM statement_timestamp() - min(first.not_before)), 0)::float8
FROM jobs_job AS job
LEFT JOIN LATERAL ({FIRST_READY}) AS first ON true
WHERE job.ended_at IS NULL GROUP BY job.lane
"""  # noqa: S608 -- a constant


@dataclass(slots=True)
class _Kept:
    load: Load | None = None
    measured_at: float = 0.0


_kept = _Kept()
_measuring = Lock()


def require_room(lane: Lane) -> None:
    """ApiError 503 that says why, what to do and when to ask again."""
    shortage = find_shortage(lane, _recent_load(), _limits())
    if shortage is None:
        return
    log.warning("work_refused", lane=lane, reason=shortage.reason)
    message = (
        f"New work for the lane '{lane}' is not taken at present: {shortage.reason}. What was accepted is safe and still runs. "
        "Send it again later; 'Retry-After' says when to try."
    )
    raise ApiError(503, "overloaded", message, headers={"Retry-After": str(shortage.retry_after_seconds)})


def find_shortages() -> dict[str, Shortage | None]:
    """Why each lane takes nothing more, None for those that do: for people."""
    load, limits = _recent_load(), _limits()
    return {lane.value: find_shortage(lane, load, limits) for lane in Lane}


def _recent_load() -> Load:
    """What was measured last; one thread at a time measures anew, and the others don't wait for it."""
    load = _kept.load
    if load is not None and time.monotonic() - _kept.measured_at < MEASURED_SECONDS:
        return load
    if load is not None and not _measuring.acquire(blocking=False):
        return load
    if load is None:
        _measuring.acquire()
    try:
        if _kept.load is None or time.monotonic() - _kept.measured_at >= MEASURED_SECONDS:
            _kept.load, _kept.measured_at = _measure(), time.monotonic()
        return _kept.load
    finally:
        _measuring.release()


def _measure() -> Load:
    with server_cursor() as cursor:
        cursor.execute(_MEASURE)
        rows = cursor.fetchall()
    return Load(
        oldest_seconds={lane: seconds for lane, _, seconds in rows},
        waiting=sum(waiting for _, waiting, _ in rows),
        free_bytes=read_free_bytes(),
        memory_share=_read_memory_share(),
    )


def _read_memory_share() -> float | None:
    """None when Redis has no limit of its own, or doesn't answer: work is taken in without it."""
    try:
        told = redis_client().info("memory")
    except redis.RedisError as error:
        log.warning("memory_not_read", error=str(error))
        return None
    most = int(told.get("maxmemory", 0))
    return int(told["used_memory"]) / most if most else None


def _limits() -> Limits:
    return Limits(
        oldest_seconds=settings.INTAKE_OLDEST_SECONDS, waiting=settings.INTAKE_MAX_WAITING, free_bytes=settings.FILES_MIN_FREE_BYTES
    )
