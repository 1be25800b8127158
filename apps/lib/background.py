"""How background tasks are declared: lost children and infrastructure errors are retried, a bounded number of times."""

from functools import partial

import django.db
import psycopg
import redis
from celery import shared_task

INFRASTRUCTURE_ERRORS: tuple[type[Exception], ...] = (
    django.db.OperationalError,
    django.db.InterfaceError,
    psycopg.OperationalError,
    psycopg.InterfaceError,
    # A standby that is not promoted yet, or a disk that is full: it takes nothing for now.
    psycopg.errors.ReadOnlySqlTransaction,
    redis.ConnectionError,
    redis.TimeoutError,
)

# `max_retries` and `default_retry_delay` also bound what Celery does after a child was killed (its own default is 180 s).
background_task = partial(
    shared_task,
    autoretry_for=INFRASTRUCTURE_ERRORS,
    retry_backoff=1,
    retry_backoff_max=30,
    retry_jitter=True,
    max_retries=3,
    default_retry_delay=5,
)
