"""Retrieve what a step's question is answered from: pinned, so that whoever asks again for the same job reads the same."""

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from apps.jobs.domain.step_request import Passage
from apps.jobs.models import Job
from apps.knowledge.actions import PinTo, search_collection
from apps.knowledge.domain.request import LONGEST_QUERY, SearchRequest
from apps.knowledge.queries import read_passages
from apps.lib.ids import public_id

if TYPE_CHECKING:
    from apps.knowledge.models import Snapshot

_DOCUMENT_PREFIX = "doc_"


def retrieve_passages(job: Job, *, query: str, most: int, document_ids: Sequence[UUID]) -> tuple[str, list[Passage]]:
    """The snapshot's id and its passages in their order; from these documents, or without any from the whole collection.

    The collection is searched as it was when the job began.
    """
    if job.collection_id is None:
        raise ValueError("Only a job of a collection retrieves from it.")
    request = SearchRequest(
        query=query[:LONGEST_QUERY],
        top_k=most,
        document_ids=tuple(public_id(_DOCUMENT_PREFIX, key) for key in document_ids),
        as_of=job.collection_revision,
    )
    snapshot = search_collection(collection_id=job.collection_id, request=request, pin_to=PinTo(job.public_id, 0))
    return snapshot.id, _passages(snapshot)


def _passages(snapshot: "Snapshot") -> list[Passage]:
    chunks = read_passages(snapshot)
    found = [chunks[UUID(result["chunk"])] for result in snapshot.results if UUID(result["chunk"]) in chunks]
    return [Passage(chunk.document.name, chunk.anchor, chunk.text) for chunk in found]
