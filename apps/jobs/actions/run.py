"""Run: one pump, from its entry in the list to its end."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
import uvloop
from django.db import connection

from apps.jobs.actions.claim import ready_lanes
from apps.jobs.actions.pump import PumpLoop
from apps.jobs.actions.register_pump import end_pump, register_pump
from apps.jobs.actions.ring import WORKER_SETS, ring, worker_set_of
from apps.lib.shutdown import is_stopping

log = structlog.get_logger(__name__)


def run_items(
    *, lane: str, job_id: UUID | None, replaces: UUID | None, is_isolating: bool, clock: Callable[[], datetime]
) -> dict[str, Any]:
    """Run items of `lane`'s worker set until none are left (or a successor claims, or the worker stops).

    `job_id` only says why it was rung. Returns a small dict for Flower: items, done, failed, cost_usd, jobs.
    """
    worker_set = worker_set_of(lane)
    if is_stopping():
        return {"items": 0, "ended": "stopping"}
    pump = register_pump(worker_set=worker_set, replaces=replaces, is_isolating=is_isolating)
    if pump is None:
        return {"items": 0, "ended": "enough pumps"}
    # The loop has connections of its own; this one would only grow stale until it is wanted again at the end.
    connection.close()
    with structlog.contextvars.bound_contextvars(pump_id=str(pump.id), worker_set=worker_set):
        log.info("pump_started", job_id=str(job_id) if job_id else None, replaces=str(replaces) if replaces else None)
        loop = PumpLoop(
            pump_id=pump.id, worker_set=worker_set, lanes=WORKER_SETS[worker_set], lane=lane, is_isolating=is_isolating, clock=clock
        )
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(loop.run())
        finally:
            end_pump(pump_id=pump.id, done=loop.tally.done, dead=loop.tally.dead)
        # What became ready while this pump was ending; and all of it for another worker, when this one takes no more.
        for ready in ready_lanes(WORKER_SETS[worker_set]):
            ring(lane=ready)
        report = loop.tally.report()
        log.info("pump_ended", **report)
    return report
