"""Delete a conversation: what was said in it is gone. What its turns cost stays in the ledger, its forks stay as they are."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.conversations.actions.record_conversation import record_conversation
from apps.conversations.models import Conversation


def delete_conversation(*, workspace_id: UUID, key: UUID, reason: str = "", now: datetime) -> bool:
    """Whether it was there. A turn that is being asked goes on, and is charged; its answer goes nowhere."""
    with transaction.atomic():
        conversation = Conversation.objects.select_for_update().filter(workspace_id=workspace_id, id=key).first()
        if conversation is None:
            return False
        before, after = {"turns": conversation.version, "deleted_at": None}, {"turns": 0, "deleted_at": now}
        record_conversation(conversation, "deleted", before=before, after=after, reason=reason)
        conversation.delete()
    return True
