"""Celery's way in: each task makes one call. Any of them may run twice at once; claims and fences make that harmless."""

from typing import Any, Literal
from uuid import UUID

from celery.signals import worker_init, worker_shutting_down
from django.conf import settings

from apps.jobs import actions
from apps.lib.background import background_task
from apps.lib.clock import current_time
from apps.lib.quick_loops import keep_loops_quick
from apps.lib.rings import RowId
from apps.lib.shutdown import ask_to_stop

_Lane = Literal["interactive", "default", "bulk"]
# A pump ends by itself; the limit is for one that hangs: its age, the longest call (900 s) and a minute.
_PUMP_LIMIT_SECONDS = int(settings.JOBS_PUMP_SECONDS) + 960
# A million lines take about a minute here; a slow storage may take many.
_INGEST_LIMIT_SECONDS = 1800


@worker_init.connect
def _settle_in(**_: object) -> None:
    """In the parent, whose children share what is there: what the collector doesn't touch needs no copies."""
    keep_loops_quick()


@worker_shutting_down.connect
def _tell_children(**_: object) -> None:
    ask_to_stop()


def _id(text: RowId | None) -> UUID | None:
    return UUID(text) if text else None


@background_task(name="jobs.run_items", ignore_result=False, soft_time_limit=_PUMP_LIMIT_SECONDS, time_limit=_PUMP_LIMIT_SECONDS)
def run_items(*, lane: _Lane, job_id: RowId | None = None, replaces: RowId | None = None, is_isolating: int = 0) -> dict[str, Any]:
    return actions.run_items(lane=lane, job_id=_id(job_id), replaces=_id(replaces), is_isolating=bool(is_isolating), clock=current_time)


@background_task(name="jobs.validate_job", soft_time_limit=_INGEST_LIMIT_SECONDS, time_limit=_INGEST_LIMIT_SECONDS + 30)
def validate_job(*, job_id: RowId) -> None:
    actions.validate_job(job_id=UUID(job_id), clock=current_time)


@background_task(name="jobs.advance_job", soft_time_limit=_INGEST_LIMIT_SECONDS, time_limit=_INGEST_LIMIT_SECONDS + 30)
def advance_job(*, job_id: RowId) -> None:
    actions.advance_job(job_id=UUID(job_id), clock=current_time)


@background_task(name="jobs.start_waiting")
def start_waiting(*, collection_id: RowId) -> int:
    return actions.start_waiting(collection_id=UUID(collection_id))


@background_task(name="jobs.finish_job", soft_time_limit=_INGEST_LIMIT_SECONDS, time_limit=_INGEST_LIMIT_SECONDS + 30)
def finish_job(*, job_id: RowId) -> None:
    actions.finish_job(job_id=UUID(job_id), clock=current_time)


@background_task(name="jobs.index_documents", soft_time_limit=_INGEST_LIMIT_SECONDS, time_limit=_INGEST_LIMIT_SECONDS + 30)
def index_documents() -> None:
    actions.index_documents(now=current_time())


@background_task(name="jobs.summarise_conversation")
def summarise_conversation(*, conversation_id: RowId) -> bool:
    return actions.summarise_conversation(conversation_id=UUID(conversation_id), now=current_time())


@background_task(name="jobs.close_job")
def close_job(*, job_id: RowId) -> int:
    return actions.close_job(job_id=UUID(job_id))


@background_task(name="jobs.sweep")
def sweep() -> dict[str, int]:
    return actions.sweep()


@background_task(name="jobs.release_held")
def release_held(*, budget_id: RowId) -> int:
    return actions.release_held(budget_id=UUID(budget_id))


@background_task(name="jobs.report", ignore_result=False)
def report() -> dict[str, dict[str, Any]]:
    return actions.report_work()


@background_task(name="jobs.sample_progress")
def sample_progress() -> int:
    return actions.sample_progress(now=current_time())


@background_task(name="jobs.mirror_dead")
def mirror_dead() -> int:
    return actions.mirror_dead()


@background_task(name="jobs.expire_files")
def expire_files() -> int:
    return actions.expire_files(now=current_time())


@background_task(name="jobs.requeue_dead_item", only_on="dead_letter")
def requeue_dead_item(*, item_id: str) -> int:
    """What a message in the queue `dead_letter` asks for; only a worker that somebody starts on that queue does it."""
    return actions.requeue_one(item_id=item_id, now=current_time())
