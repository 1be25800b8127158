"""Retrieve what a step's question is answered from: pinned, so that whoever asks again for the same job reads the same."""

from collections.abc import Sequence
from uuid import UUID

from apps.jobs.actions.search_documents import search_documents
from apps.jobs.domain.step_request import StepRefusedError
from apps.jobs.models import Job
from apps.knowledge.actions import PinTo
from apps.knowledge.domain.cited import CitedPassage
from apps.knowledge.domain.request import LONGEST_QUERY, SearchRequest
from apps.knowledge.queries import find_shown_collection, list_passages
from apps.lib.clock import current_time
from apps.lib.http_errors import ApiError
from apps.lib.ids import public_id

_DOCUMENT_PREFIX = "doc_"


def retrieve_passages(job: Job, *, query: str, most: int, document_ids: Sequence[UUID]) -> tuple[str, list[CitedPassage]]:
    """The snapshot's id and its passages in their order; from these documents, or without any from the whole collection.

    The collection is searched as it was when the job began. Where a provider makes its vectors, the job's key pays for the question's.
    StepRefusedError when the question can't be embedded; ApiError when it can't be at present.
    """
    collection = find_shown_collection(workspace_ids=[job.workspace_id], collection_id=job.collection_id) if job.collection_id else None
    if collection is None:
        raise StepRefusedError("collection_not_found", "The collection that it would be answered from is not there any more.")
    request = SearchRequest(
        query=query[:LONGEST_QUERY],
        top_k=most,
        document_ids=tuple(public_id(_DOCUMENT_PREFIX, key) for key in document_ids),
        as_of=job.collection_revision,
    )
    try:
        snapshot = search_documents(
            collection=collection, api_key_id=job.api_key_id, request=request, pin_to=PinTo(job.public_id, 0), now=current_time()
        )
    except ApiError as refused:
        if not refused.is_final:
            raise
        raise StepRefusedError(refused.code, refused.message) from refused
    return snapshot.id, list_passages(snapshot)
