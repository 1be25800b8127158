"""Go on without what was discarded: steps that ask for all documents together no longer wait for it."""

from datetime import datetime

from apps.jobs.actions.close_documents import reopen_documents
from apps.jobs.actions.requeue_dead import RERUNNABLE, reopen
from apps.jobs.domain.lifecycle import ItemState, JobStatus
from apps.jobs.domain.next_asks import steps_of_job
from apps.jobs.domain.recipe import load_plan
from apps.jobs.models import DocumentState, Item, Job, JobDocument
from apps.lib.enqueue import enqueue


def go_on_without(job: Job, *, now: datetime) -> None:
    """Inside the transaction that discards, with the job locked. A job that had ended without these steps runs as its next revision."""
    together = [step.name for step in steps_of_job(load_plan(job.recipe.plan))] if job.recipe else []
    if not together or job.status not in RERUNNABLE or Item.objects.filter(job=job, state=ItemState.DEAD, discarded_at=None).exists():
        return
    if job.status == JobStatus.COMPLETED:
        if not JobDocument.objects.filter(job=job, state=DocumentState.FAILED, step__in=together).exists():
            return
        reopen(job, 0, now=now)
    reopen_documents(job.id, [])
    enqueue("jobs.advance_job", queue="ingest", job_id=str(job.id))
