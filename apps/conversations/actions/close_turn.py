"""Close a turn: its answer makes the conversation's next version; without one the conversation is as it was before."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.conversations.domain.state import turn_hash
from apps.conversations.domain.turns import TurnEnd
from apps.conversations.models import Conversation, Turn, TurnState


def close_turn(*, turn_id: UUID, end: TurnEnd, now: datetime) -> bool:
    """Whether it was open; the same end told twice changes nothing."""
    with transaction.atomic():
        found = Turn.objects.filter(id=turn_id).values_list("conversation_id", flat=True).first()
        # Whoever opens or closes a turn takes the conversation first.
        if found is None or not Conversation.objects.select_for_update().filter(id=found).exists():
            return False
        turn = Turn.objects.select_for_update().get(id=turn_id)
        if turn.state != TurnState.OPEN:
            return False
        turn.state = TurnState.FAILED if end.error_code else TurnState.ANSWERED
        turn.answer, turn.answer_tokens, turn.tool_calls = end.answer, end.answer_tokens, end.tool_calls
        turn.error_code, turn.cost_usd, turn.ended_at = end.error_code, end.cost_usd, now
        if not end.error_code:
            turn.hash = turn_hash(
                bytes(turn.previous_hash), input=turn.input, messages=turn.messages, answer=end.answer, tool_calls=end.tool_calls
            )
            _move_on(turn, now)
        turn.save()
    return True


def _move_on(turn: Turn, now: datetime) -> None:
    moved = Conversation.objects.filter(id=turn.conversation_id, version=turn.number - 1).update(
        version=turn.number, tip_hash=turn.hash, updated_at=now
    )
    if not moved:
        # The constraint lets one turn at a time behind a version: whoever sees this has found a defect.
        msg = f"Turn {turn.id} has the number {turn.number}, and its conversation isn't one version before it."
        raise RuntimeError(msg)
