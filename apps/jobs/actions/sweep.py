"""Sweep, every few seconds: take back what killed pumps held, ring where work waits unheard, finish what is over.

A lost, doubled or late message costs delay, never work: this is what makes it so.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import structlog
from django.db import connection
from django.db.models.functions import Now

from apps.jobs.actions.claim import SUSPECT_LOSSES, ready_lanes
from apps.jobs.actions.close_turns import close_summaries, close_turns
from apps.jobs.actions.expire_jobs import expire_jobs
from apps.jobs.actions.recheck_held import recheck_held
from apps.jobs.actions.ring import WORKER_SETS, ring
from apps.jobs.actions.take_back import take_back_lost
from apps.jobs.domain.lifecycle import Lane
from apps.jobs.domain.ready import NOT_HELD
from apps.jobs.models import Pump, PumpState
from apps.knowledge.queries import awaits_vectors
from apps.lib.enqueue import enqueue

log = structlog.get_logger(__name__)

_FORGIVE = """
UPDATE jobs_item SET losses = 0 WHERE state = 'waiting' AND losses > 0
    AND lost_at < statement_timestamp() - interval '72 hours'
"""
_SUSPECT_LANES = f"""
SELECT DISTINCT job.lane FROM jobs_item AS item JOIN jobs_job AS job ON job.id = item.job_id
WHERE item.state = 'waiting' AND item.losses >= %s AND item.not_before <= statement_timestamp()
  AND job.status = 'running' AND job.lane = ANY(%s) AND {NOT_HELD}
"""  # noqa: S608 -- a constant
_OVER = """
SELECT id FROM jobs_job AS job
WHERE ended_at IS NULL AND kind <> 'single' AND status IN ('running', 'paused', 'cancelling', 'finishing')
  AND NOT EXISTS (SELECT 1 FROM jobs_item WHERE job_id = job.id AND state = 'running')
  AND NOT EXISTS (SELECT 1 FROM jobs_item WHERE job_id = job.id AND state = 'waiting')
"""
_NOT_VALIDATED = """
SELECT id FROM jobs_job
WHERE status = 'validating' AND kind <> 'documents' AND ended_at IS NULL AND created_at < statement_timestamp() - interval '15 seconds'
"""
# Documents that are read by now, or of which something has ended since their next steps were looked for.
_TO_ADVANCE = """
SELECT id FROM jobs_job
WHERE ended_at IS NULL AND kind = 'documents' AND (status = 'validating' OR status = 'running' AND done + dead <> advanced)
"""
_PUMPS_KEPT = timedelta(days=7)
# Doubles are harmless, but there is no use in more at once than the ingest workers can take.
_RING_AGAIN = 20
# Each sweep has another draw: as many as can't move at present, a document of theirs being long to read, keep the others from nothing.
_DRAWN = f"{{query}} ORDER BY random() LIMIT {_RING_AGAIN}"


def sweep() -> dict[str, int]:
    """Do everything that is due; safe at any time and twice at once. Returns what was found."""
    found = {
        "lost": take_back_lost(),
        "rung": sum(_ring_unheard(worker_set, lanes) for worker_set, lanes in WORKER_SETS.items()),
        "unclosed": expire_jobs(),
        "unheld": recheck_held(),
        "unfinished": _ring_for(_OVER, "jobs.finish_job"),
        "unvalidated": _ring_for(_NOT_VALIDATED, "jobs.validate_job"),
        "unadvanced": _ring_for(_TO_ADVANCE, "jobs.advance_job"),
        "unembedded": _ring_for_vectors(),
        "turns": close_turns(),
        "summaries": close_summaries(),
    }
    _select(_FORGIVE, [])
    Pump.objects.filter(ended_at=None).gone().update(state=PumpState.ENDED, ended_at=Now(), in_flight=0)
    Pump.objects.filter(ended_at__lt=Now() - _PUMPS_KEPT).delete()
    if any(found.values()):
        log.info("swept", **found)
    return found


def _ring_unheard(worker_set: str, lanes: Sequence[Lane]) -> int:
    names = [lane.value for lane in lanes]
    rung = 0
    # One pump stands ready for urgent work at all times, so that a caller does not wait for one to start.
    ready = names if worker_set == "exec-interactive" else ready_lanes(names)
    if ready and not Pump.objects.claiming(worker_set).exists():
        ring(lane=ready[0])
        rung += 1
    if not Pump.objects.alive(worker_set).filter(is_isolating=True).exists():
        for (lane,) in _select(_SUSPECT_LANES, [SUSPECT_LOSSES, names]):
            enqueue("jobs.run_items", queue=lane, lane=lane, is_isolating=1)
            rung += 1
    return rung


def _ring_for(query: str, task_name: str) -> int:
    jobs = [row[0] for row in _select(_DRAWN.format(query=query), [])]
    for job_id in jobs:
        enqueue(task_name, queue="ingest", job_id=str(job_id))
    return len(jobs)


def _ring_for_vectors() -> int:
    """Documents wait for vectors: to be asked for, or to be stored."""
    if not awaits_vectors():
        return 0
    enqueue("jobs.index_documents", queue="ingest")
    return 1


def _select(query: str, values: list[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return cursor.fetchall() if cursor.description else []
