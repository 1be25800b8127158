"""Begin a conversation in which nothing has been said."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from apps.conversations.actions.record_conversation import record_conversation
from apps.conversations.domain.state import first_hash
from apps.conversations.models import Conversation
from apps.lib.ids import uuid7


def create_conversation(*, workspace_id: UUID, now: datetime, **values: Any) -> Conversation:
    """`values`: of its columns; who judges them is whoever knows models and collections."""
    key = uuid7()
    with transaction.atomic():
        made = Conversation.objects.create(
            id=key, workspace_id=workspace_id, root_id=key, tip_hash=first_hash(key), created_at=now, updated_at=now, **values
        )
        # Programs begin thousands; the row itself tells by which key.
        if made.created_by_id:
            record_conversation(made, "created")
    return made
