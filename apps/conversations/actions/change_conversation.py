"""Change how the next turns of a conversation are asked. What was said stays as it was said."""

from datetime import datetime
from typing import Any

from django.db import transaction

from apps.conversations.models import Conversation


def change_conversation(conversation: Conversation, *, now: datetime, **values: Any) -> Conversation:
    """`values`: of its columns; who judges them is whoever knows models and collections."""
    with transaction.atomic():
        changed = Conversation.objects.select_for_update().get(id=conversation.id)
        for name, value in values.items():
            setattr(changed, name, value)
        changed.updated_at = now
        changed.save(update_fields=[*values, "updated_at"])
    return changed
