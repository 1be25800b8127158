"""The Celery app: queues, settings and the whole beat schedule. Celery carries rings; the work is in Postgres."""

import os
import socket
from datetime import timedelta

from celery import Celery
from kombu import Queue
from kombu.transport.redis import Channel, QoS

from aiplatform.envelopes import guard_broker

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

guard_broker(QUEUES)

app = Celery("aiplatform")


def _every(interval: timedelta, task: str, *, expires: int, queue: str = "control") -> dict[str, object]:
    """An entry of the schedule; a message that nobody took for `expires` seconds is dropped."""
    return {"task": task, "schedule": interval, "options": {"queue": queue, "expires": expires}}


@app.on_configure.connect
def _configure(sender: Celery, **_: object) -> None:
    from django.conf import settings  # noqa: PLC0415 -- settings import this package's __init__ first

    sender.conf.update(
        broker_url=settings.REDIS_URL,
        result_backend="django-db",
        beat_schedule={
            "sweep": _every(timedelta(seconds=settings.JOBS_SWEEP_SECONDS), "jobs.sweep", expires=60),
            "sweep-documents": _every(timedelta(seconds=30), "knowledge.sweep", expires=30),
            "mirror-dead": _every(timedelta(minutes=1), "jobs.mirror_dead", expires=60),
            "sample-progress": _every(timedelta(seconds=10), "jobs.sample_progress", expires=10),
            "canary": _every(timedelta(seconds=15), "ops.canary", expires=60),
            "report": _every(timedelta(minutes=1), "jobs.report", expires=60),
            "expire-files": _every(timedelta(minutes=10), "jobs.expire_files", expires=600),
            "clear-spool": _every(timedelta(hours=1), "files.clear_spool", expires=600),
            "expire-uploads": _every(timedelta(minutes=10), "files.expire_uploads", expires=600),
            "forget-records": _every(timedelta(hours=1), "accounts.forget_records", expires=600),
            "deliver-webhooks": _every(timedelta(seconds=5), "webhooks.deliver", expires=9),
            "send-mails": _every(timedelta(seconds=15), "webhooks.send_mails", expires=30),
            "forget-events": _every(timedelta(hours=1), "webhooks.forget", expires=600),
            "expire-cache": _every(timedelta(minutes=5), "providers.expire_cache", expires=300),
            "remember-usage": _every(timedelta(minutes=1), "providers.remember_usage", expires=60),
            "remove-strays": _every(timedelta(days=1), "files.remove_strays", expires=3600, queue="ingest"),
            "watch": _every(timedelta(seconds=30), "ops.watch", expires=30),
            "forget-deleted": _every(timedelta(hours=6), "knowledge.forget_deleted", expires=3600, queue="ingest"),
            "prove-money": _every(timedelta(hours=1), "ops.prove_money", expires=600, queue="ingest"),
            "probe-conversations": _every(timedelta(minutes=5), "ops.probe_conversations", expires=300, queue="ingest"),
            "report-spend": _every(timedelta(minutes=1), "spend.report", expires=60),
            "roll-up": _every(timedelta(seconds=20), "spend.roll_up", expires=20),
            "forget-old": _every(timedelta(hours=1), "ops.forget_old", expires=600),
            "erase-workspaces": _every(timedelta(minutes=1), "ops.erase_workspaces", expires=60),
            "forget-results": _every(timedelta(hours=1), "ops.forget_results", expires=600),
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
        # A broker that is gone without a word is noticed within half a minute, also where a worker only listens.
        "socket_keepalive_options": {socket.TCP_KEEPIDLE: 10, socket.TCP_KEEPINTVL: 5, socket.TCP_KEEPCNT: 3},
        # A socket that is dead without a word is given up within seconds, before the supervisor takes the worker for deaf (three misses,
        # half a minute) and ends it with its pumps: kombu drops a BRPOP without a reply, and a subscription with two pings unanswered.
        "health_check_interval": 4,
        "max_connections": 100,
    },
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_pool_limit=20,
    broker_pool_acquire_timeout=10,
    worker_consumer="aiplatform.consumer:RingConsumer",
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
app.autodiscover_tasks(
    ["apps.ops", "apps.jobs", "apps.knowledge", "apps.providers", "apps.spend", "apps.webhooks", "apps.files", "apps.accounts"]
)
