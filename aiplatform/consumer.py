"""How our workers take messages: what is no ring of ours is dropped. Celery loads this by name, in workers alone."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import structlog
from celery.utils.log import get_logger
from celery.worker.consumer import Consumer
from celery.worker.control import Panel

from apps.lib.rings import find_ring_flaw

log = structlog.get_logger(__name__)

# What a broadcast may ask of a worker: to tell of itself. Nobody sends the others (stop, revoke, take from another queue) but a stranger.
_ANSWERED = {
    *("ping", "clock", "conf", "dump_conf", "report", "stats", "registered", "dump_tasks", "active_queues", "query_task", "heartbeat"),
    *("active", "dump_active", "reserved", "dump_reserved", "scheduled", "dump_schedule", "revoked", "dump_revoked"),
    *("enable_events", "disable_events"),
}


class RingConsumer(Consumer):
    """Celery's, with a look at each message before anything else happens to it."""

    def create_task_handler(self, *arguments: Any, **options: Any) -> Callable[[Any], Any]:
        handle: Callable[[Any], Any] = super().create_task_handler(*arguments, **options)
        logger = get_logger(__name__)
        connection_errors: Any = self.connection_errors  # type: ignore[attr-defined]  # it is there

        def on_message(message: Any) -> Any:
            flaw = self._find_flaw(message)
            if not flaw:
                # Those of the task hold, as this process knows them. Beat, retries and rings of tasks bring their sender's, who may have
                # other settings, or be of another release.
                message.headers["timelimit"] = None
                return handle(message)
            log.warning("message_refused", reason=flaw, task=str(message.headers.get("task"))[:100])
            message.reject_log_error(logger, connection_errors)
            return None

        return on_message

    def _find_flaw(self, message: Any) -> str:
        try:
            payload = message.payload
        except Exception as error:  # noqa: BLE001 -- whatever reading a stranger's message raises, the worker must live
            return f"its body can't be read ({type(error).__name__})"
        queues = self.app.amqp.queues.consume_from
        return find_ring_flaw(message.headers, payload, tasks=self.app.tasks, queues=queues, now=datetime.now(UTC))


for _name in set(Panel.data) - _ANSWERED:
    del Panel.data[_name]
