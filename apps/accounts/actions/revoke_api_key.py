"""Revoke an API key; its next request is refused."""

from datetime import datetime
from uuid import UUID

from apps.accounts.models import ApiKey


def revoke_api_key(*, key_id: UUID, now: datetime) -> bool:
    """True when it was live until now; revoking twice changes nothing."""
    return ApiKey.objects.filter(id=key_id, revoked_at=None).update(revoked_at=now) == 1
