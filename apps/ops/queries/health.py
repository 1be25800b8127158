"""Can the platform do work? Each part is asked to do something, not whether it listens."""

from dataclasses import dataclass
from datetime import timedelta

import redis
import structlog
from django.db import DatabaseError, connection

from apps.jobs.queries import has_renewed_pump
from apps.lib.clock import read_skew
from apps.lib.redis_client import redis_client
from apps.ops.domain.message_store import NO_EVICTION

log = structlog.get_logger(__name__)

CANARY_KEY = "aiplatform:canary:{queue}"
CANARY_SECONDS = 90
PUMP_SECONDS = 30
WORKER_SETS = {"interactive": "exec-interactive", "default": "exec", "bulk": "exec"}
WATCHED_QUEUES = ("interactive", "default", "bulk", "ingest", "control")


@dataclass(frozen=True, slots=True)
class Check:
    """One part: whether it works, and if not, why."""

    name: str
    is_ok: bool
    detail: str


def check_readiness() -> list[Check]:
    """Postgres, Redis, and for each queue that somebody took a message from it lately (or a pump is at work on it)."""
    checks = [_check_postgres(), _check_redis()]
    if all(check.is_ok for check in checks):
        checks += [_check_queue(queue) for queue in WATCHED_QUEUES]
    return checks


def _check_postgres() -> Check:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return _silent("postgres", error)
    return Check("postgres", is_ok=True, detail=f"It answers.{_told_skew()}")


def _silent(name: str, error: Exception) -> Check:
    """Drivers name hosts, ports and users: that is for the log, not for strangers who ask /readyz."""
    log.warning("store_does_not_answer", store=name, error=str(error))
    return Check(name, is_ok=False, detail="It does not answer; the log of this process says more.")


def _told_skew() -> str:
    """Time is told by Postgres, so a clock that is off does no harm here; logs and whoever reads them are misled."""
    seconds = round(read_skew().total_seconds())
    return f" This machine's clock is {abs(seconds):,} s {'ahead of' if seconds > 0 else 'behind'} its own: set it." if seconds else ""


def _check_redis() -> Check:
    try:
        redis_client().ping()
        policy = _eviction_policy()
    except redis.RedisError as error:
        return _silent("redis", error)
    if policy != NO_EVICTION:
        detail = f"It drops what it holds when it is full: set maxmemory-policy to {NO_EVICTION} (now {policy})."
        return Check("redis", is_ok=False, detail=detail)
    return Check("redis", is_ok=True, detail="It answers.")


def _eviction_policy() -> str:
    """What it does when it is full; as it should be, where we may not ask."""
    try:
        return str(redis_client().info("memory").get("maxmemory_policy", NO_EVICTION))
    except redis.exceptions.NoPermissionError:
        return NO_EVICTION


def _check_queue(queue: str) -> Check:
    name = f"queue {queue}"
    worker_set = WORKER_SETS.get(queue)
    if worker_set and has_renewed_pump(worker_set, within=timedelta(seconds=PUMP_SECONDS)):
        return Check(name, is_ok=True, detail=f"A pump of {worker_set} is at work.")
    # The time that is left tells the age by one clock, whatever those of the machines say.
    left = int(redis_client().ttl(CANARY_KEY.format(queue=queue)))
    if left < 0:
        return Check(
            name, is_ok=False, detail=f"No worker has taken a message from it for {CANARY_SECONDS} s: is its worker set running, and beat?"
        )
    return Check(name, is_ok=True, detail=f"A worker took a message {CANARY_SECONDS - left} s ago.")
