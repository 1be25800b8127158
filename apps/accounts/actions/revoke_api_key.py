"""Revoke an API key; its next request is refused."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.accounts.actions.record_audit import record_audit
from apps.accounts.models import ApiKey


@transaction.atomic
def revoke_api_key(*, key_id: UUID, now: datetime, reason: str = "") -> bool:
    """True when it was live until now; revoking twice changes nothing."""
    key = ApiKey.objects.select_for_update().filter(id=key_id, revoked_at=None).first()
    if key is None:
        return False
    key.revoked_at = now
    key.save(update_fields=["revoked_at"])
    record_audit(
        verb="revoked",
        object_type="API key",
        object_id=key.id,
        object_label=str(key),
        workspace_id=key.workspace_id,
        before={"revoked_at": None},
        after={"revoked_at": now},
        reason=reason,
    )
    return True
