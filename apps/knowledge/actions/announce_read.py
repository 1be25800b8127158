"""Announce that nothing of a collection waits to be read any more: jobs that wait for its documents can start."""

from functools import partial
from uuid import UUID

from django.db import transaction

from apps.knowledge.models import DocumentVersion, VersionStatus
from apps.lib.enqueue import enqueue


def announce_read(collection_id: UUID) -> None:
    """After commit, so that of two readers that end at once one sees the end of the other. What could not be embedded isn't waited for."""
    transaction.on_commit(partial(_announce, collection_id))


def _announce(collection_id: UUID) -> None:
    waiting = DocumentVersion.objects.filter(document__collection=collection_id, status=VersionStatus.PENDING, refusal_code="")
    if not waiting.exists():
        enqueue("jobs.start_waiting", queue="ingest", collection_id=str(collection_id))
