"""Start a job of documents: once each of them is read or refused, it runs."""

from datetime import datetime

import structlog
from django.db import transaction

from apps.jobs.actions.build_requests import Refusal
from apps.jobs.actions.close_documents import close_refused
from apps.jobs.actions.read_places import read_documents
from apps.jobs.domain.lifecycle import JobStatus
from apps.jobs.models import DocumentState, Job
from apps.knowledge.queries import read_version_facts

log = structlog.get_logger(__name__)

_GONE = ("document_gone", "The document was removed before it was read.")


def start_documents(job: Job, *, now: datetime) -> bool:
    """True when it runs from now on; False while a document waits to be read, or when the job isn't to start. Its lock is held.

    Its searches see the collection as it was when the job was submitted, or, of documents that were yet to be read, when the last was.
    """
    if job.status != JobStatus.VALIDATING:
        return False
    refused: list[Refusal] = []
    revision = job.collection_revision or 0
    for page in read_documents(job.id, states=[DocumentState.OPEN]):
        facts = read_version_facts([document.version_id for document in page])
        for document in page:
            known = facts.get(document.version_id)
            if known is None:
                refused.append(Refusal(document.id, "", *_GONE))
            elif known.is_pending:
                return False
            elif known.is_refused:
                refused.append(Refusal(document.id, "", known.refusal_code, known.refusal_message))
            else:
                revision = max(revision, known.from_revision or 0)
    with transaction.atomic():
        close_refused(refused, now=now)
        started = Job.objects.filter(id=job.id, status=JobStatus.VALIDATING).update(
            status=JobStatus.RUNNING, started_at=now, collection_revision=revision
        )
        if not started:
            # Cancelled meanwhile: its documents end with it.
            transaction.set_rollback(True)
    if started:
        job.status, job.started_at, job.collection_revision = JobStatus.RUNNING, now, revision
        log.info("documents_started", job_id=str(job.id), refused=len(refused))
    return bool(started)
