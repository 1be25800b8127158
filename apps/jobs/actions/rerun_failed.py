"""Run again what has failed in a job: its dead items wait anew, and a job that had completed gets a new revision."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.jobs.actions.index_documents import INDEX
from apps.jobs.actions.lock_batch import lock_batch, refuse_change
from apps.jobs.actions.narrow_index import narrow_index
from apps.jobs.actions.record_change import record_change
from apps.jobs.actions.requeue_dead import RERUNNABLE, put_back, reopen
from apps.jobs.actions.ring import ring
from apps.jobs.actions.summarise_conversation import SUMMARY
from apps.jobs.domain.lifecycle import ItemState, JobStatus
from apps.jobs.models import Item, Job
from apps.lib.http_errors import GIVE_UP, ApiError

_NOTHING_FAILED = "Nothing in this batch has failed."
_NOTHING_NEEDED = "No document waits for what has failed here any more. It can be discarded."

_MADE_ANEW = "A summary that failed is made anew by itself, by another job. This one can be discarded."


def rerun_failed(*, workspace_id: UUID, public_id: str, now: datetime, reason: str = "") -> tuple[Job, int]:
    """The job and how many items wait again; ApiError 404 for an unknown job, 409 when nothing failed or the job can't run any more.

    A completed job runs again as its next revision, for up to 24 hours: its files stay until the new ones replace both.
    In the OpenAI API it stays completed.
    """
    with transaction.atomic():
        job = lock_batch(workspace_id=workspace_id, public_id=public_id)
        if job.status not in RERUNNABLE:
            raise refuse_change(job, "rerun")
        # What somebody has discarded stays so.
        dead = Item.objects.filter(job=job, state=ItemState.DEAD, discarded_at=None)
        ids = list(dead.values_list("id", flat=True))
        if job.kind == SUMMARY and ids:
            raise ApiError(409, "nothing_failed", _MADE_ANEW, headers=GIVE_UP)
        items = put_back(job.id, narrow_index(ids) if job.kind == INDEX else ids)
        if not items:
            raise ApiError(409, "nothing_failed", _NOTHING_NEEDED if ids else _NOTHING_FAILED, headers=GIVE_UP)
        was = {"status": job.status, "revision": job.revision, "dead": job.dead}
        reopen(job, items, now=now)
        now_is = {"status": job.status, "revision": job.revision, "dead": job.dead}
        record_change(job, "rerun", before=was, after=now_is, reason=reason)
        if job.status == JobStatus.RUNNING:
            ring(lane=job.lane, job_id=job.id)
    return job, items
