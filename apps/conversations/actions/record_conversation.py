"""Write down in the audit log what somebody did to a conversation."""

from collections.abc import Mapping
from typing import Any

from apps.accounts.actions import record_audit
from apps.conversations.models import Conversation


def record_conversation(
    conversation: Conversation,
    verb: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
) -> None:
    """Inside the transaction of the change, while the row still has its id."""
    record_audit(
        verb=verb,
        object_type="conversation",
        object_id=conversation.id,
        object_label=str(conversation),
        workspace_id=conversation.workspace_id,
        before=before,
        after=after,
        reason=reason,
    )
