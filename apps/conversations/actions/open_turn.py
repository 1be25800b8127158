"""Open a turn: it takes the number behind the state that it was composed in, if nobody has taken that."""

from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction

from apps.conversations.actions.fork_conversation import fork_conversation
from apps.conversations.domain.turns import TurnStart, TurnTakenError
from apps.conversations.models import Conversation, Turn

# The constraint that lets one turn follow a state.
_ONE_NEXT = "conversations_turn_one_next"


def open_turn(start: TurnStart, *, item_id: UUID, now: datetime) -> None:
    """In the transaction that writes the item. TurnTakenError: another turn has been begun there, or the state is not there any more."""
    conversation = Conversation.objects.select_for_update().filter(id=start.conversation_id).first()
    if conversation is None:
        raise TurnTakenError
    if start.asked_as_of not in (None, conversation.updated_at):
        # Changed, or gone on, since it was composed.
        raise TurnTakenError
    if start.fork_to:
        conversation = fork_conversation(
            original=conversation, version=start.state.version, fork_id=start.fork_to, created_by_id=start.created_by_id, now=now
        )
    if (conversation.version, bytes(conversation.tip_hash)) != (start.state.version, start.state.tip_hash):
        raise TurnTakenError
    try:
        with transaction.atomic():
            Turn.objects.create(
                workspace_id=conversation.workspace_id,
                conversation=conversation,
                number=start.state.version + 1,
                item_id=item_id,
                created_by_id=start.created_by_id,
                input=start.input,
                messages=start.messages,
                input_tokens=start.input_tokens,
                previous_hash=start.state.tip_hash,
                memory_seq=start.state.memory_seq,
                query_key=start.query_key,
                snapshot_id=start.snapshot_id,
                summary_id=start.summary_id,
                report=start.report,
                read_version=start.read.version if start.read else None,
                resolution=start.resolution,
                created_at=now,
            )
    except IntegrityError as error:
        if _ONE_NEXT not in str(error):
            raise
        raise TurnTakenError from error
