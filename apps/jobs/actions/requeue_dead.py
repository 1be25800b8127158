"""Requeue dead items: they wait anew, as they were or with another model or limit; a job that had completed gets its next revision."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from apps.conversations.actions import reopen_turn
from apps.conversations.queries.turns import answerable_turns
from apps.jobs.actions.close_documents import reopen_documents
from apps.jobs.actions.close_turns import close_turns
from apps.jobs.actions.estimate_work import estimate_work
from apps.jobs.actions.index_documents import INDEX
from apps.jobs.actions.narrow_index import find_needed, narrow_index
from apps.jobs.actions.record_change import record_change
from apps.jobs.actions.replace_requests import replace_requests
from apps.jobs.actions.ring import ring
from apps.jobs.actions.summarise_conversation import SUMMARY
from apps.jobs.domain.dead_items import Change, Selection, read_wish
from apps.jobs.domain.estimate import Counted, Estimate
from apps.jobs.domain.lifecycle import ItemState, JobStatus
from apps.jobs.models import Item, Job
from apps.lib.http_errors import ApiError
from apps.lib.sql import server_cursor
from apps.providers.domain.catalogue import CallableModel
from apps.providers.domain.dearest import read_bounds
from apps.providers.domain.limits import estimate_tokens
from apps.providers.domain.policy import load_policy
from apps.providers.queries import find_callable
from apps.traces.queries import read_bodies

RERUNNABLE = (JobStatus.RUNNING, JobStatus.PAUSED, JobStatus.COMPLETED)
# More than these are requeued by asking again: a request shall end within seconds.
MOST_AT_ONCE = 20_000
_SAMPLE = 200
_BODIES_AT_ONCE = 500
_TIME_FOR_RERUN = timedelta(hours=24)
# As if they had never been tried; the runs and exchanges of before stay on record. What had called tools goes on behind the last answer
# that asked for some: what these have written is not written again.
_REQUEUE = """
WITH chosen AS (SELECT id, row_number() OVER (ORDER BY id) AS place FROM unnest(%(ids)s::uuid[]) AS id)
UPDATE jobs_item AS item
SET state = 'waiting', run_id = NULL, not_before = statement_timestamp() + chosen.place * %(pause)s * interval '1 second',
    ended_at = NULL, status_code = NULL, attempts = 0, ambiguous_tries = 0, free_tries = 0, losses = 0, lost_at = NULL,
    outcome = '', error_code = '', error_message = '', fingerprint = '', answered_by = '',
    answer_body_id = draft_body_id, draft_body_id = NULL, stage = CASE WHEN draft_body_id IS NULL THEN 0 ELSE stage END,
    model_id = coalesce(%(model)s, model_id)
FROM chosen WHERE item.id = chosen.id AND item.job_id = %(job)s AND item.state = 'dead' AND item.discarded_at IS NULL
"""
_ONE_EMBEDDER = "A collection has one embedding model: items of jobs of kind 'index' run as they were. Leave `{name}` out, or these items."


@dataclass(frozen=True, slots=True)
class Requeued:
    """What was (or, in a dry run, would be) requeued.

    `left` is what a second request would take; `impossible` can only be discarded: its job is over, nobody waits for it any more, its
    conversation has gone on without it, or it is a summary, which is made anew.
    """

    items: int
    jobs: int
    left: int
    impossible: int
    estimate: Estimate | None


def select_dead(selection: Selection, *, workspace_ids: Sequence[UUID] | None) -> QuerySet[Item]:
    """The dead items that are meant and that wait for a person."""
    rows = Item.objects.filter(state=ItemState.DEAD, discarded_at=None)
    if workspace_ids is not None:
        rows = rows.filter(workspace_id__in=workspace_ids)
    if selection.fingerprint:
        rows = rows.filter(fingerprint=selection.fingerprint)
    if selection.job_id:
        rows = rows.filter(job_id=selection.job_id)
    return rows.filter(id__in=selection.item_ids) if selection.item_ids else rows


def requeue_dead(
    selection: Selection, change: Change, *, workspace_ids: Sequence[UUID] | None, is_dry_run: bool, now: datetime, reason: str = ""
) -> Requeued:
    """ApiError 404 for an unknown model, 400 for another model or limit of an index's items.

    Each job is changed in a transaction of its own: after a kill midway one asks again.
    """
    model = _model(change.model)
    rows = select_dead(selection, workspace_ids=workspace_ids)
    # For a single call nobody waits any more; but a turn's answer still has its place in a conversation where nothing was said since.
    # A summary that failed is made anew, by another item.
    has_place = ~Q(job__kind__in=("single", SUMMARY)) | Exists(answerable_turns(OuterRef("id")))
    possible = rows.filter(has_place, job__status__in=RERUNNABLE)
    found = list(possible.order_by("job_id", "id").values_list("job_id", "id", "job__kind")[: MOST_AT_ONCE + 1])
    left = max(0, possible.count() - MOST_AT_ONCE) if len(found) > MOST_AT_ONCE else 0
    chosen = _without_needless(found[:MOST_AT_ONCE], change)
    by_job: dict[UUID, list[UUID]] = {}
    for job_id, item_id in chosen:
        by_job.setdefault(job_id, []).append(item_id)
    impossible = rows.count() - len(chosen) - left
    if is_dry_run:
        ids = [item_id for ids in by_job.values() for item_id in ids]
        return Requeued(len(ids), len(by_job), left, impossible, _estimate(ids, change, now))
    counts = [_requeue_in(job_id, ids, change, model, now=now, reason=reason) for job_id, ids in by_job.items()]
    return Requeued(sum(counts), sum(map(bool, counts)), left, impossible, None)


def requeue_one(*, item_id: str, now: datetime) -> int:
    """1 when the item of this public id waits again; 0 when it isn't dead any more, or can only be discarded."""
    wish = read_wish({"item_ids": [item_id]})
    return requeue_dead(wish.selection, wish.change, workspace_ids=None, is_dry_run=False, now=now).items


def reopen(job: Job, items: int, *, now: datetime, per_minute: int | None = None) -> None:
    """Count `items` of a locked job as waiting again; a completed one runs as its next revision and keeps its files until then.

    Its time begins when the last of them is ready at that pace.
    """
    job.dead -= items
    # Something of before is open: whoever looks for next steps at this moment has looked too early.
    job.advanced = 0
    if job.status == JobStatus.COMPLETED:
        job.status, job.revision = JobStatus.RUNNING, job.revision + 1
        job.completed_at, job.ended_at, job.finishing_at = job.completed_at or job.ended_at, None, None
        job.expires_at = now + _TIME_FOR_RERUN + timedelta(minutes=items / per_minute if per_minute else 0)
    job.save(update_fields=["dead", "advanced", "status", "revision", "completed_at", "ended_at", "finishing_at", "expires_at"])


def put_back(job_id: UUID, item_ids: Sequence[UUID], *, model_id: UUID | None = None, per_minute: int | None = None) -> int:
    """Make dead items of one job wait; returns how many did. With `per_minute` they become ready at that pace."""
    values = {"ids": list(item_ids), "job": job_id, "model": model_id, "pause": 60 / per_minute if per_minute else 0.0}
    with server_cursor() as cursor:
        cursor.execute(_REQUEUE, values)
        items = cursor.rowcount
    if items:
        reopen_documents(job_id, item_ids)
    return items


def _without_needless(found: Sequence[tuple[UUID, UUID, str]], change: Change) -> list[tuple[UUID, UUID]]:
    """(job, item) of those that somebody needs; ApiError 400 when items of an index were to be asked otherwise."""
    of_index = [item_id for _, item_id, kind in found if kind == INDEX]
    needed = find_needed(of_index) if of_index else {}
    changed = "model" if change.model else "max_tokens" if change.max_tokens else ""
    if needed and changed:
        raise ApiError(400, "invalid_value", _ONE_EMBEDDER.format(name=changed), param=changed)
    return [(job_id, item_id) for job_id, item_id, kind in found if kind != INDEX or item_id in needed]


def _requeue_in(job_id: UUID, ids: list[UUID], change: Change, model: CallableModel | None, *, now: datetime, reason: str) -> int:
    with transaction.atomic():
        job = Job.objects.select_for_update(no_key=True).get(id=job_id)
        if job.status not in RERUNNABLE:
            return 0
        # Somebody quicker may have requeued or discarded some of them; what is locked stays dead until this is done.
        still_dead = select_dead(Selection(item_ids=tuple(ids)), workspace_ids=None).filter(job_id=job_id).order_by("id")
        ids = list(still_dead.select_for_update(no_key=True).values_list("id", flat=True))
        ids = narrow_index(ids) if job.kind == INDEX else ids
        ids = [item_id for item_id in ids if _has_place(item_id)] if job.kind == "single" else ids
        if not ids:
            return 0
        if change.model or change.max_tokens:
            _change_requests(ids, change)
        was = {"status": job.status, "revision": job.revision, "dead": job.dead}
        items = put_back(job_id, ids, model_id=model.id if model else None, per_minute=change.per_minute)
        reopen(job, items, now=now, per_minute=change.per_minute)
        now_is = {"status": job.status, "revision": job.revision, "dead": job.dead, "model": change.model, "max_tokens": change.max_tokens}
        record_change(job, "requeued", before=was, after=now_is, reason=reason)
        if job.status == JobStatus.RUNNING:
            ring(lane=job.lane, job_id=job.id)
    return items


def _has_place(item_id: UUID) -> bool:
    """Whether what a single call is answered is a turn's answer: that is open again."""
    close_turns(item_id=item_id)
    return reopen_turn(item_id=item_id)


def _change_requests(ids: Sequence[UUID], change: Change) -> None:
    """New requests, which differ in model and limit alone: what is cached, steered and taken over goes by what the request says."""
    for start in range(0, len(ids), _BODIES_AT_ONCE):
        rows = list(Item.objects.filter(id__in=ids[start : start + _BODIES_AT_ONCE]).values_list("id", "workspace_id", "request_body_id"))
        contents = read_bodies([bytes(body_id) for _, _, body_id in rows])
        replace_requests(
            [
                (item_id, workspace_id, _changed(contents[bytes(body_id)], change))
                for item_id, workspace_id, body_id in rows
                if bytes(body_id) in contents
            ]
        )


def _changed(request: bytes, change: Change) -> bytes:
    body = orjson.loads(request) | ({"model": change.model} if change.model else {})
    if not change.max_tokens:
        return orjson.dumps(body)
    names = [name for name in ("max_completion_tokens", "max_output_tokens", "max_tokens") if name in body]
    return orjson.dumps(body | dict.fromkeys(names or ["max_tokens"], change.max_tokens))


def _model(name: str) -> CallableModel | None:
    model = find_callable(name) if name else None
    if name and model is None:
        raise ApiError(404, "model_not_found", f"The model {name[:100]!r} does not exist or nobody answers for it.", param="model")
    return model


def _estimate(ids: Sequence[UUID], change: Change, now: datetime) -> Estimate | None:
    """From the requests of some of them, by the policy of theirs that asks most; None when nothing is known of their model."""
    rows = list(Item.objects.filter(id__in=ids[:_SAMPLE]).values_list("request_body_id", "job__policy", "job__endpoint"))
    contents = read_bodies([bytes(body_id) for body_id, _, _ in rows])
    known = [(orjson.loads(contents[bytes(body_id)]), policy, endpoint) for body_id, policy, endpoint in rows if bytes(body_id) in contents]
    if not known:
        return None
    return estimate_work(
        counted=[_counted(body, endpoint, change) for body, _, endpoint in known],
        requests=len(ids),
        model=change.model or str(known[0][0].get("model")),
        policy=max((load_policy(policy) for _, policy, _ in known), key=lambda policy: bool(policy.first_model) + policy.has_contract),
        now=now,
    )


def _counted(body: dict[str, Any], endpoint: str, change: Change) -> Counted:
    limit, copies = read_bounds(body, endpoint=endpoint)
    tokens = estimate_tokens(orjson.dumps(body), max_output_tokens=0).input
    return Counted(int(tokens), change.max_tokens or limit, copies)
