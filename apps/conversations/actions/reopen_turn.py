"""Open a turn anew that had failed: its item is asked again, and its answer is to be what is said next."""

from uuid import UUID

from django.db import transaction

from apps.conversations.models import Conversation, Turn, TurnState
from apps.conversations.queries.turns import answerable_turns


def reopen_turn(*, item_id: UUID) -> bool:
    """In the transaction that lets the item wait again. False when something else was said in its state, or is asked there by now."""
    with transaction.atomic():
        found = Turn.objects.filter(item_id=item_id, copied_from_id=None).values_list("conversation_id", flat=True).first()
        if found is None or not Conversation.objects.select_for_update().filter(id=found).exists():
            return False
        turn = answerable_turns(item_id).select_for_update(of=("self",)).filter(state=TurnState.FAILED).first()
        if turn is None:
            return False
        turn.state, turn.error_code, turn.ended_at = TurnState.OPEN, "", None
        turn.save(update_fields=["state", "error_code", "ended_at"])
    return True
