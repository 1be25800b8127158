"""One beat at a time: the schedule fires only in the process that holds a lock in Postgres."""

from datetime import timedelta
from typing import Any

import structlog
from celery.beat import Scheduler
from django.db import DatabaseError, connection

log = structlog.get_logger(__name__)

# Any number: the key of the lock that says who leads.
_LOCK_KEY = 7_002_002
_AGAIN_SECONDS = 5.0
_LONG_AGO = timedelta(days=1)


class LeaderScheduler(Scheduler):
    """Celery's scheduler, silent while another beat leads. A leader that dies frees the lock with its connection."""

    has_led = False

    def tick(self, *arguments: Any, **options: Any) -> float:
        """Fire what is due, if this process leads; the seconds until the next look."""
        if not self._leads():
            self.has_led = False
            return _AGAIN_SECONDS
        if not self.has_led:
            self._make_everything_due()
            self.has_led = True
        seconds: float = super().tick(*arguments, **options)
        return min(seconds, _AGAIN_SECONDS)

    def _make_everything_due(self) -> None:
        """A new leader does not know what the last one fired; once too often is harmless, and a fresh platform is ready sooner."""
        for entry in self.schedule.values():
            entry.last_run_at = entry.default_now() - _LONG_AGO
        self.populate_heap()

    def _leads(self) -> bool:
        try:
            with connection.cursor() as cursor:
                # Held by the session, so asking again while holding it must not count it up: look first.
                cursor.execute(
                    "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND pid = pg_backend_pid())"
                    " OR pg_try_advisory_lock(%s)",
                    [_LOCK_KEY, _LOCK_KEY],
                )
                row = cursor.fetchone()
        except DatabaseError as error:
            log.warning("beat_does_not_lead", error=str(error))
            connection.close()
            return False
        return bool(row and row[0])
