"""Search a collection. Where a provider makes its vectors, the question's is one more call: urgent, metered and charged to who asks.

The same question within a day is answered from the workspace's cache of answers, and costs nothing; a pinned one asks for nothing at all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

import orjson
from asgiref.sync import async_to_sync
from django.db import connection

from apps.jobs.actions.answer_call import answer_call
from apps.jobs.actions.index_documents import EMBEDDINGS, FEATURE
from apps.jobs.domain.call_answer import CallAnswer
from apps.jobs.domain.call_request import Caller, CallRequest
from apps.knowledge.actions import PinTo, needed_embedder, search_collection
from apps.knowledge.domain.embedders import VectorRefusedError, read_vectors
from apps.knowledge.domain.request import SearchRequest
from apps.lib.http_errors import GIVE_UP, ApiError
from apps.lib.ids import uuid7
from apps.providers.domain.policy import AnswerPolicy
from apps.providers.queries import cache_times

if TYPE_CHECKING:
    from apps.knowledge.models import Collection, Snapshot


@dataclass(frozen=True, slots=True)
class Embedded:
    """A question's vector, as the model's answer brought it."""

    model: str
    answer: bytes


class UnembeddedError(Exception):
    """A provider's model must make the question's vector before this search; `call` asks it."""

    def __init__(self, call: CallRequest) -> None:
        super().__init__(call.model)
        self.call = call


def search_embedded(
    *, collection: "Collection", request: SearchRequest, pin_to: PinTo | None = None, end_user: str = "", embedded: Embedded | None = None
) -> "Snapshot":
    """The snapshot of what was found, without asking anybody: UnembeddedError where the question's vector is missing."""
    vector = None
    if model := needed_embedder(collection_id=collection.id, request=request, pin_to=pin_to):
        if embedded is None or embedded.model != model:
            raise UnembeddedError(_call(model, request.query, end_user))
        vector = _read(embedded.answer, collection.dimensions)
    return search_collection(collection_id=collection.id, request=request, pin_to=pin_to, vector=vector)


async def embed_question(caller: Caller, call: CallRequest, *, now: datetime) -> Embedded:
    """What an UnembeddedError asks for; ApiError as for a single call, and where the provider refuses it."""
    answer = await answer_call(item_id=uuid7(), caller=caller, request=call, now=now)
    if answer.content is None or answer.status >= 400:
        raise _failure(answer)
    return Embedded(call.model, answer.content)


def search_documents(
    *,
    collection: "Collection",
    api_key_id: UUID | None,
    request: SearchRequest,
    pin_to: PinTo | None = None,
    end_user: str = "",
    is_alone: bool = False,
    now: datetime,
) -> "Snapshot":
    """The snapshot of what was found; ApiError as for a search, and as for a single call where the model could not be asked.

    `is_alone`: nothing of the caller's hangs on the database connection, so it is let go of while the model is waited for.
    """
    search = partial(search_embedded, collection=collection, request=request, pin_to=pin_to, end_user=end_user)
    try:
        return search()
    except UnembeddedError as unembedded:
        call = unembedded.call
    if is_alone and not connection.in_atomic_block:
        connection.close()
    return search(embedded=async_to_sync(embed_question)(Caller(collection.workspace_id, api_key_id), call, now=now))


def _call(model: str, text: str, end_user: str) -> CallRequest:
    return CallRequest(
        endpoint=EMBEDDINGS,
        model=model,
        end_user=end_user,
        feature=FEATURE,
        max_cost_usd=None,
        body=orjson.dumps({"model": model, "input": [text]}),
        policy=AnswerPolicy(cache_seconds=cache_times().usual_seconds),
    )


def _read(answer: bytes, dimensions: int) -> Sequence[float]:
    try:
        (vector,) = read_vectors(orjson.loads(answer), count=1, dimensions=dimensions)
    except (VectorRefusedError, orjson.JSONDecodeError) as refused:
        raise ApiError(502, "vectors_unusable", f"The question could not be embedded. {refused}", headers=GIVE_UP) from refused
    return vector


def _failure(answer: CallAnswer) -> ApiError:
    if answer.content is not None:
        return ApiError(502, "provider_rejected", "The provider refused to embed the question.", headers=GIVE_UP)
    headers = {"Retry-After": str(answer.retry_after_seconds)} if answer.retry_after_seconds else {}
    return ApiError(answer.status, answer.code, answer.message, headers=headers if answer.should_retry else headers | GIVE_UP)
