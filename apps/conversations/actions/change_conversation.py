"""Change how the next turns of a conversation are asked. What was said stays as it was said."""

from datetime import datetime
from typing import Any

from django.db import transaction

from apps.conversations.actions.record_conversation import record_conversation
from apps.conversations.models import Conversation


def change_conversation(conversation: Conversation, *, now: datetime, **values: Any) -> Conversation:
    """`values`: of its columns; who judges them is whoever knows models and collections."""
    with transaction.atomic():
        changed = Conversation.objects.select_for_update().get(id=conversation.id)
        before = {name: getattr(changed, name) for name in values}
        for name, value in values.items():
            setattr(changed, name, value)
        changed.updated_at = now
        changed.save(update_fields=[*values, "updated_at"])
        record_conversation(changed, "changed", before=before, after=values)
    return changed
