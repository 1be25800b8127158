"""One beat at a time: the schedule fires only in the process that holds a lock in Postgres."""

from typing import Any

import structlog
from celery.beat import Scheduler
from django.db import DatabaseError, connection

log = structlog.get_logger(__name__)

# Any number: the key of the lock that says who leads.
_LOCK_KEY = 7_002_002
_AGAIN_SECONDS = 5.0


class LeaderScheduler(Scheduler):
    """Celery's scheduler, silent while another beat leads. A leader that dies frees the lock with its connection."""

    def tick(self, *arguments: Any, **options: Any) -> float:
        """Fire what is due, if this process leads; the seconds until the next look."""
        if not self._leads():
            return _AGAIN_SECONDS
        seconds: float = super().tick(*arguments, **options)
        return min(seconds, _AGAIN_SECONDS)

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
