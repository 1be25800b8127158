"""Summaries: asked for by an item, written when it has answered, left out when it hasn't."""

from datetime import datetime
from uuid import UUID

from django.db.models import Q

from apps.conversations.models import Conversation, Summary, TurnState


def open_summary(*, conversation: Conversation, upto: int, item_id: UUID, now: datetime) -> bool:
    """Within the transaction that writes the item; False when one up to there has been asked for, or its turn isn't there any more."""
    turn = conversation.turns.filter(number=upto, state=TurnState.ANSWERED).first()
    if turn is None or turn.hash is None:
        return False
    made = Summary(conversation=conversation, upto=upto, upto_hash=turn.hash, item_id=item_id, created_at=now)
    return bool(Summary.objects.bulk_create([made], ignore_conflicts=True) and Summary.objects.filter(id=made.id).exists())


def close_summary(*, summary_id: UUID, text: str, tokens: int, now: datetime) -> bool:
    """With an empty text it has failed: another one may be asked for."""
    state = TurnState.ANSWERED if text else TurnState.FAILED
    open_one = Summary.objects.filter(Q(id=summary_id), state=TurnState.OPEN)
    return bool(open_one.update(state=state, text=text, tokens=tokens, ended_at=now))
