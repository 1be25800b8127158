"""Can the platform do work? Each part is asked to do something, not whether it listens."""

import time
from dataclasses import dataclass
from datetime import timedelta

import redis
from django.db import DatabaseError, connection

from apps.jobs.queries import has_renewed_pump
from apps.lib.redis_client import redis_client

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
        return Check("postgres", is_ok=False, detail=f"It does not answer: {str(error).splitlines()[0]}")
    return Check("postgres", is_ok=True, detail="It answers.")


def _check_redis() -> Check:
    try:
        redis_client().ping()
    except redis.RedisError as error:
        return Check("redis", is_ok=False, detail=f"It does not answer: {error}")
    return Check("redis", is_ok=True, detail="It answers.")


def _check_queue(queue: str) -> Check:
    name = f"queue {queue}"
    worker_set = WORKER_SETS.get(queue)
    if worker_set and has_renewed_pump(worker_set, within=timedelta(seconds=PUMP_SECONDS)):
        return Check(name, is_ok=True, detail=f"A pump of {worker_set} is at work.")
    landed = redis_client().get(CANARY_KEY.format(queue=queue))
    age = time.time() - float(str(landed)) if landed else None
    if age is None or age > CANARY_SECONDS:
        return Check(
            name, is_ok=False, detail=f"No worker has taken a message from it for {CANARY_SECONDS} s: is its worker set running, and beat?"
        )
    return Check(name, is_ok=True, detail=f"A worker took a message {age:.0f} s ago.")
