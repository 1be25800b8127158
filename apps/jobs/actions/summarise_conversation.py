"""Summarise what doesn't fit a conversation's window any more: by an item of a `summary` job, whose answer is told in its place."""

from datetime import datetime
from uuid import UUID

import orjson
from django.db import transaction

from apps.conversations import actions as conversations
from apps.conversations.queries.turns import DueSummary, find_due_summary
from apps.jobs.actions.load_items import load_items
from apps.jobs.actions.ring import ring
from apps.jobs.domain.intake import ItemSpec
from apps.jobs.domain.lifecycle import JobStatus, Lane
from apps.jobs.domain.prompt_use import CHAT
from apps.jobs.domain.turn_texts import summary_messages, summary_tokens
from apps.jobs.models import Item, Job
from apps.lib.enqueue import enqueue
from apps.providers.queries import find_callable

SUMMARY = "summary"
_FEATURE = "conversations"


def ring_for_summary(conversation_id: UUID) -> None:
    """If one is due."""
    if find_due_summary(conversation_id):
        enqueue("jobs.summarise_conversation", queue="ingest", conversation_id=str(conversation_id))


def summarise_conversation(*, conversation_id: UUID, now: datetime) -> bool:
    """Whether an item was made; doubled rings make one. Without a model that can be asked, the oldest turns are cut until there is one."""
    due = find_due_summary(conversation_id)
    model = find_callable(due.conversation.model_name) if due else None
    if due is None or model is None:
        return False
    with transaction.atomic():
        job = Job.objects.create(
            workspace_id=due.conversation.workspace_id,
            api_key_id=due.conversation.api_key_id,
            created_by_id=due.conversation.created_by_id,
            kind=SUMMARY,
            # Until its item is in; nobody sees it before.
            status=JobStatus.VALIDATING,
            lane=Lane.DEFAULT,
            endpoint=CHAT,
            model_name=model.name,
            feature=_FEATURE,
            end_user=due.conversation.end_user,
            created_at=now,
        )
        load_items(job, [_spec(due, model.id)])
        item_id = Item.objects.values_list("id", flat=True).get(job=job)
        if not conversations.open_summary(conversation=due.conversation, upto=due.upto, item_id=item_id, now=now):
            transaction.set_rollback(True)
            return False
        Job.objects.filter(id=job.id).update(status=JobStatus.RUNNING, total=1, started_at=now)
        ring(lane=job.lane, job_id=job.id)
    return True


def _spec(due: DueSummary, model_id: UUID) -> ItemSpec:
    turns = [(turn.input, turn.answer) for turn in due.turns]
    body = {
        "model": due.conversation.model_name,
        "messages": summary_messages(due.before.text if due.before else "", turns, window_tokens=due.conversation.window_tokens),
        "max_completion_tokens": summary_tokens(due.conversation.window_tokens),
    }
    return ItemSpec(
        position=1, custom_id="summary", model_id=model_id, end_user=due.conversation.end_user, feature=_FEATURE, body=orjson.dumps(body)
    )
