"""Ring for pumps, as many as are useful, and wake those that stand ready."""

from functools import partial
from math import ceil
from uuid import UUID

import redis
import structlog
from django.conf import settings
from django.db import transaction

from apps.jobs.domain.lifecycle import Lane
from apps.jobs.models import Job, Pump
from apps.lib.enqueue import enqueue
from apps.lib.redis_client import redis_client

log = structlog.get_logger(__name__)

WORKER_SETS: dict[str, tuple[Lane, ...]] = {"exec-interactive": (Lane.INTERACTIVE,), "exec": (Lane.DEFAULT, Lane.BULK)}


def worker_set_of(lane: str) -> str:
    """Which worker set serves a lane."""
    return next(name for name, lanes in WORKER_SETS.items() if lane in lanes)


def wake_channel(worker_set: str) -> str:
    """Where the pumps of a worker set listen."""
    return f"aiplatform:wake:{worker_set}"


def ring(*, lane: str, job_id: UUID | None = None) -> None:
    """After commit, wake the standing pumps of `lane` and ring for those that are missing; a lost ring is made up by the sweep."""
    worker_set = worker_set_of(lane)
    wake_pumps(worker_set)
    for _ in range(_missing_pumps(worker_set, job_id)):
        enqueue("jobs.run_items", queue=lane, lane=lane, job_id=str(job_id) if job_id else None)


def wake_pumps(worker_set: str) -> None:
    """After commit, tell the pumps of a worker set that there is something to claim."""
    transaction.on_commit(partial(_publish_wake, worker_set))


def live_pumps(worker_set: str) -> "list[Pump]":
    """The pumps that claim now; one that has not been renewed for three rounds counts as gone."""
    return list(Pump.objects.claiming(worker_set))


def _missing_pumps(worker_set: str, job_id: UUID | None) -> int:
    live = live_pumps(worker_set)
    if worker_set == "exec-interactive":
        return 0 if live else 1
    hosts = max(1, len({pump.hostname for pump in live}))
    total = Job.objects.filter(id=job_id).values_list("total", flat=True).first() if job_id else None
    useful = settings.JOBS_PUMPS_PER_HOST if total is None else ceil(total / settings.JOBS_MAX_IN_FLIGHT)
    return max(0, min(useful, settings.JOBS_PUMPS_PER_HOST * hosts) - len(live))


def _publish_wake(worker_set: str) -> None:
    try:
        redis_client().publish(wake_channel(worker_set), "1")
    except redis.RedisError as error:
        # Pumps look into Postgres once a second as well.
        log.warning("wake_not_published", worker_set=worker_set, error=str(error))
