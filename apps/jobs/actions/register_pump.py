"""Enter a pump into the list of those that claim, or find that there are enough."""

import os
import socket
from uuid import UUID

import psutil
from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now

from apps.jobs.models import Pump, PumpState

# Any number: the key of the advisory lock under which pumps are counted and entered.
_LOCK_KEY = 7_002_001


def register_pump(*, worker_set: str, replaces: UUID | None, is_isolating: bool) -> Pump | None:
    """The pump's row; None when this host has enough of them, so that a doubled ring costs nothing."""
    hostname = socket.gethostname()
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK_KEY])
        _bury_dead(worker_set, hostname)
        alive = Pump.objects.alive(worker_set).filter(hostname=hostname, is_isolating=is_isolating, state=PumpState.CLAIMING)
        if replaces and Pump.objects.filter(replaces_id=replaces).exists():
            return None
        if (alive.exclude(id=replaces) if replaces else alive).count() >= _most_pumps(worker_set, is_isolating=is_isolating):
            return None
        return Pump.objects.create(
            worker_set=worker_set,
            hostname=hostname,
            pid=os.getpid(),
            replaces_id=replaces,
            window=settings.JOBS_MAX_IN_FLIGHT,
            is_isolating=is_isolating,
        )


def end_pump(*, pump_id: UUID, done: int, dead: int) -> None:
    """Take the pump off the list."""
    Pump.objects.filter(id=pump_id).update(state=PumpState.ENDED, ended_at=Now(), in_flight=0, done=done, dead=dead)


def _most_pumps(worker_set: str, *, is_isolating: bool) -> int:
    return 1 if is_isolating or worker_set == "exec-interactive" else settings.JOBS_PUMPS_PER_HOST


def _bury_dead(worker_set: str, hostname: str) -> None:
    """A pump whose process is gone from this host was killed: its place is free at once, not when its row grows stale."""
    for pump in Pump.objects.filter(worker_set=worker_set, hostname=hostname, ended_at=None):
        if pump.pid == os.getpid() or not psutil.pid_exists(pump.pid):
            Pump.objects.filter(id=pump.id).update(state=PumpState.ENDED, ended_at=Now(), in_flight=0)
