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
from apps.lib.background import INFRASTRUCTURE_ERRORS
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
    """After commit, wake the standing pumps of `lane` and ring for those that are missing; a lost ring is made up by the sweep.

    The pumps are counted after the commit, and a pump looks for ready items after it has left the list (`run_items`): one of the two
    sees the other, so work that arrives while the last pump ends is not left lying until the next sweep.
    """
    wake_pumps(worker_set_of(lane))
    transaction.on_commit(partial(_ring_for_missing, lane, job_id))


def wake_pumps(worker_set: str) -> None:
    """After commit, tell the pumps of a worker set that there is something to claim."""
    transaction.on_commit(partial(_publish_wake, worker_set))


def _ring_for_missing(lane: str, job_id: UUID | None) -> None:
    try:
        missing = _missing_pumps(worker_set_of(lane), job_id)
    except INFRASTRUCTURE_ERRORS as error:
        # What was committed stands; the sweep rings for it.
        log.warning("pumps_not_counted", lane=lane, error=str(error))
        return
    for _ in range(missing):
        enqueue("jobs.run_items", queue=lane, lane=lane, job_id=str(job_id) if job_id else None)


def _missing_pumps(worker_set: str, job_id: UUID | None) -> int:
    live = list(Pump.objects.claiming(worker_set))
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
