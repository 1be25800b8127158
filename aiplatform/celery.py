"""The Celery app: queues, settings and the whole beat schedule. Celery carries rings; the work is in Postgres."""

import os
from datetime import timedelta

from celery import Celery
from kombu import Queue
from kombu.transport.redis import Channel, QoS

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aiplatform.settings")

VISIBILITY_TIMEOUT_SECONDS = 3600
QUEUES = ("interactive", "default", "bulk", "ingest", "control", "dead_letter")

# A connection that is lost while messages are unacknowledged makes kombu put them back on the way out, over that same dead
# connection; the error leaves the worker deaf until its longest task has ended. What is not put back is rung for again by the sweep.
Channel.do_restore = False
_acknowledge = QoS.ack


def _acknowledge_if_connected(qos: QoS, delivery_tag: str) -> None:
    """A task that outlived its connection has nothing to acknowledge; kombu would fail on it and end the whole worker."""
    if qos.channel.connection is not None:
        _acknowledge(qos, delivery_tag)


QoS.ack = _acknowledge_if_connected  # type: ignore[method-assign, assignment]  # in place of kombu's

app = Celery("aiplatform")


@app.on_configure.connect
def _configure(sender: Celery, **_: object) -> None:
    from django.conf import settings  # noqa: PLC0415 -- settings import this package's __init__ first

    sender.conf.update(
        broker_url=settings.REDIS_URL,
        result_backend="django-db",
        beat_schedule={
            "sweep": {
                "task": "jobs.sweep",
                "schedule": timedelta(seconds=settings.JOBS_SWEEP_SECONDS),
                "options": {"queue": "control", "expires": 60},
            },
            "mirror-dead": {"task": "jobs.mirror_dead", "schedule": timedelta(minutes=1), "options": {"queue": "control", "expires": 60}},
            "sample-progress": {
                "task": "jobs.sample_progress",
                "schedule": timedelta(seconds=10),
                "options": {"queue": "control", "expires": 10},
            },
            "canary": {"task": "ops.canary", "schedule": timedelta(seconds=15), "options": {"queue": "control", "expires": 60}},
            "report": {"task": "jobs.report", "schedule": timedelta(minutes=1), "options": {"queue": "control", "expires": 60}},
            "expire-files": {"task": "files.expire", "schedule": timedelta(minutes=10), "options": {"queue": "control", "expires": 600}},
            "expire-uploads": {
                "task": "files.expire_uploads",
                "schedule": timedelta(minutes=10),
                "options": {"queue": "control", "expires": 600},
            },
            "forget-records": {
                "task": "accounts.forget_records",
                "schedule": timedelta(hours=1),
                "options": {"queue": "control", "expires": 600},
            },
            "deliver-webhooks": {
                "task": "webhooks.deliver",
                "schedule": timedelta(seconds=5),
                "options": {"queue": "control", "expires": 9},
            },
            "forget-events": {"task": "webhooks.forget", "schedule": timedelta(hours=1), "options": {"queue": "control", "expires": 600}},
            "expire-cache": {
                "task": "providers.expire_cache",
                "schedule": timedelta(minutes=5),
                "options": {"queue": "control", "expires": 300},
            },
            "remove-strays": {
                "task": "files.remove_strays",
                "schedule": timedelta(days=1),
                "options": {"queue": "ingest", "expires": 3600},
            },
            "forget-old": {"task": "ops.forget_old", "schedule": timedelta(hours=1), "options": {"queue": "control", "expires": 600}},
            "forget-results": {
                "task": "ops.forget_results",
                "schedule": timedelta(hours=1),
                "options": {"queue": "control", "expires": 600},
            },
        },
    )


app.conf.update(
    task_serializer="json",
    accept_content=["json"],
    result_serializer="json",
    task_create_missing_queues=False,
    task_queues=[Queue(name, routing_key=name) for name in QUEUES],
    task_default_queue="control",
    task_default_routing_key="control",
    # A lost child is retried a bounded number of times; rejecting on loss would loop for ever on a poison item.
    task_acks_late=True,
    task_acks_on_failure=True,
    task_acks_on_timeout=True,
    task_reject_on_worker_lost=False,
    task_retry_on_worker_lost=True,
    task_soft_time_limit=270,
    task_time_limit=300,
    task_ignore_result=True,
    task_store_errors_even_if_ignored=True,
    task_track_started=False,
    task_send_sent_event=True,
    task_publish_retry_policy={"max_retries": 2, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.5},
    result_extended=True,
    result_expires=None,  # ops.forget_results deletes in batches; Celery's own clean-up is one huge DELETE
    result_backend_always_retry=True,
    result_backend_max_retries=5,
    broker_transport_options={
        "visibility_timeout": VISIBILITY_TIMEOUT_SECONDS,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "socket_timeout": 5,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 10,
        "max_connections": 100,
    },
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_pool_limit=20,
    broker_pool_acquire_timeout=10,
    worker_prefetch_multiplier=1,
    worker_disable_rate_limits=True,
    worker_send_task_events=True,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_eta_task_limit=500,
    worker_enable_soft_shutdown_on_idle=True,
    worker_lost_wait=10,
    worker_proc_alive_timeout=30,
    worker_hijack_root_logger=False,
    beat_scheduler="apps.ops.actions.lead_beat:LeaderScheduler",
    beat_enable_remote_control=True,
    beat_max_loop_interval=10,
    enable_utc=True,
    timezone="UTC",
)
app.autodiscover_tasks(["apps.ops", "apps.jobs", "apps.providers", "apps.webhooks", "apps.files", "apps.accounts"])
