"""The only place that publishes to Celery: by task name, with ids as keyword arguments, after commit."""

from functools import partial

import structlog
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

from apps.lib.failpoints import failpoint

log = structlog.get_logger(__name__)


def enqueue(task_name: str, *, queue: str, **arguments: str | int | None) -> None:
    """Ring for `task_name` on `queue` once the open transaction has committed (at once when none is open).

    A message that can't be sent is logged and dropped: Postgres holds the work and a sweep rings again.
    """
    transaction.on_commit(partial(_publish, task_name, queue, arguments))


def _publish(task_name: str, queue: str, arguments: dict[str, str | int | None]) -> None:
    failpoint("ring.before_publish")
    try:
        current_app.send_task(task_name, kwargs=arguments, queue=queue)
    except (OperationalError, OSError) as error:
        log.warning("ring_not_sent", task=task_name, queue=queue, error=str(error), **arguments)
    failpoint("ring.after_publish")
