"""Vectors by a provider for documents that were read: their texts become items of a job, the answers vectors of their chunks.

Safe at any time and twice at once. Items and who waits for them are written in one transaction, so that a kill asks for nothing twice;
a vector is written once. Whatever is left half done is done by the next call, which the sweep rings for.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
import structlog
from django.db import transaction

from apps.jobs.actions.load_items import load_items
from apps.jobs.actions.ring import ring
from apps.jobs.domain.intake import ItemSpec
from apps.jobs.domain.lifecycle import ItemState, JobStatus, Lane
from apps.jobs.domain.text_groups import group_texts
from apps.jobs.models import Item, Job
from apps.knowledge import actions as knowledge
from apps.knowledge.domain.embedders import VectorRefusedError
from apps.lib.advisory_lock import advisory_lock
from apps.lib.enqueue import enqueue
from apps.lib.failpoints import failpoint
from apps.lib.tokenizer import count_tokens
from apps.providers.domain.catalogue import CallableModel
from apps.providers.queries import find_callable, list_unpriced_models
from apps.traces.queries import read_bodies

log = structlog.get_logger(__name__)

EMBEDDINGS = "/v1/embeddings"
FEATURE = "documents"
INDEX = "index"
# A job's worth: more of them wait for the next call, which follows at once.
_MOST_TEXTS = 6_400
_ITEMS_AT_ONCE = 500
# An answer holds up to 64 vectors, two megabytes as they are written.
_BODIES_AT_ONCE = 8
COMING = (ItemState.WAITING, ItemState.RUNNING, ItemState.DONE)
_NO_MODEL = "There is no model {embedder!r} that could embed it at present. It is asked as soon as there is one."
_NO_PRICE = "The model {embedder!r} has no price, and calls without one are refused. It is asked as soon as it has one."
_FAILED = "The model could not embed it ({reason}). Requeue {item}, among the dead items, or upload the document again."
_ENDED = "Its embedding was {state}. Upload the document again."
_GONE = "Its vectors were made and have been forgotten before they were stored. Upload the document again."


def index_documents(*, now: datetime) -> dict[str, int]:
    """Store what was answered, ask for what was not: how many items were stored, and how many were made."""
    stored = _collect()
    asked = 0
    for wanted in knowledge.list_wanted():
        with advisory_lock(wanted.key) as is_mine:
            asked += _ask(wanted, now) if is_mine else 0
    knowledge.publish_complete()
    if stored or asked:
        log.info("documents_indexed", stored=stored, asked=asked)
    return {"stored": stored, "asked": asked}


def _ask(wanted: knowledge.Wanted, now: datetime) -> int:
    with transaction.atomic():
        knowledge.reuse_vectors(wanted)
        earlier = Item.objects.filter(id__in=knowledge.list_asked(wanted), state__in=COMING)
        knowledge.join_items(wanted, item_ids=list(earlier.values_list("id", flat=True)))
        texts = knowledge.list_texts(wanted, limit=_MOST_TEXTS)
        model = _model(wanted) if texts else None
        if model is None:
            return 0
        job = _make_job(wanted, now)
        groups = group_texts(texts, count=count_tokens)
        total = load_items(job, _specs(wanted, model, groups))
        Job.objects.filter(id=job.id).update(status=JobStatus.RUNNING, total=total, model_name=model.name, started_at=now)
        ids = Item.objects.filter(job=job).order_by("position").values_list("id", flat=True)
        knowledge.assign_items({key: item_id for item_id, group in zip(ids, groups, strict=True) for key, _ in group})
        ring(lane=job.lane, job_id=job.id)
        if len(texts) == _MOST_TEXTS:
            enqueue("jobs.index_documents", queue="ingest")
        failpoint("index.before_commit")
    failpoint("index.after_commit")
    return total


def _model(wanted: knowledge.Wanted) -> CallableModel | None:
    model = find_callable(wanted.embedder)
    trouble = _NO_MODEL if model is None else _NO_PRICE if model.id in list_unpriced_models() else ""
    if not trouble:
        return model
    message = trouble.format(embedder=wanted.embedder)
    knowledge.tell_unasked(workspace_id=wanted.workspace_id, embedder=wanted.embedder, message=message)
    return None


def _make_job(wanted: knowledge.Wanted, now: datetime) -> Job:
    return Job.objects.create(
        workspace_id=wanted.workspace_id,
        kind=INDEX,
        # Until its items are in; nobody sees it before.
        status=JobStatus.VALIDATING,
        lane=Lane.DEFAULT,
        endpoint=EMBEDDINGS,
        model_name=wanted.embedder,
        feature=FEATURE,
        created_at=now,
    )


def _specs(wanted: knowledge.Wanted, model: CallableModel, groups: Sequence[Sequence[tuple[UUID, str]]]) -> Iterator[ItemSpec]:
    for position, group in enumerate(groups, start=1):
        body = orjson.dumps({"model": wanted.embedder, "input": [text for _, text in group]})
        yield ItemSpec(position=position, custom_id=f"texts-{position}", model_id=model.id, end_user="", feature=FEATURE, body=body)


def _collect() -> int:
    """Store what items have answered, and tell of those that ended without an answer; how many were stored."""
    stored, last = 0, UUID(int=0)
    while awaited := knowledge.list_awaited(after=last, limit=_ITEMS_AT_ONCE):
        last = awaited[-1]
        ended = list(Item.objects.filter(id__in=awaited).exclude(state__in=(ItemState.WAITING, ItemState.RUNNING)).order_by("id"))
        done = [item for item in ended if item.state == ItemState.DONE]
        for start in range(0, len(done), _BODIES_AT_ONCE):
            stored += _store(done[start : start + _BODIES_AT_ONCE])
        for item in ended:
            if item.state != ItemState.DONE:
                knowledge.tell_not_embedded(item_ids=[item.id], message=_why(item))
    return stored


def _why(item: Item) -> str:
    if item.state == ItemState.DEAD:
        return _FAILED.format(reason=(item.error_message or item.outcome)[:500], item=item.public_id)
    return _ENDED.format(state=item.state)


def _store(items: Sequence[Item]) -> int:
    wanted = [bytes(key) for item in items for key in (item.request_body_id, item.answer_body_id) if key]
    bodies, stored = read_bodies(wanted), 0
    for item in items:
        request, answer = bodies.get(bytes(item.request_body_id)), bodies.get(bytes(item.answer_body_id or b""))
        try:
            if request is None or answer is None:
                raise VectorRefusedError(_GONE)  # noqa: TRY301 -- one way to tell of it
            knowledge.store_vectors(item_id=item.id, texts=orjson.loads(request)["input"], answer=_read(answer))
            stored += 1
        except VectorRefusedError as refused:
            knowledge.tell_not_embedded(item_ids=[item.id], message=str(refused), is_unusable=True)
    return stored


def _read(answer: bytes) -> Any:
    try:
        return orjson.loads(answer)
    except orjson.JSONDecodeError as error:
        raise VectorRefusedError("The model answered something that is no JSON.") from error
