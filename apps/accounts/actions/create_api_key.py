"""Make an API key."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import transaction

from apps.accounts.actions.record_audit import record_audit
from apps.accounts.domain.keys import WORKSPACE_SCOPES, Scope, hash_secret, make_secret, mark_pepper, prefix_of
from apps.accounts.models import ApiKey


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """The stored key and its secret, which is known only here and now."""

    key: ApiKey
    secret: str


@transaction.atomic
def create_api_key(
    *,
    workspace_id: UUID,
    name: str,
    scopes: Sequence[Scope] = WORKSPACE_SCOPES,
    expires_at: datetime | None = None,
    created_by_id: UUID | None = None,
    reason: str = "",
) -> NewApiKey:
    """A new key of a workspace; show its secret once, it can't be read again."""
    secret = make_secret()
    key = ApiKey.objects.create(
        workspace_id=workspace_id,
        name=name,
        prefix=prefix_of(secret),
        secret_hash=hash_secret(secret, pepper=settings.SECRET_KEY),
        hashed_under=mark_pepper(settings.SECRET_KEY),
        scopes=[scope.value for scope in scopes],
        expires_at=expires_at,
        created_by_id=created_by_id,
    )
    record_audit(
        verb="created",
        object_type="API key",
        object_id=key.id,
        object_label=str(key),
        workspace_id=workspace_id,
        after={"name": name, "scopes": key.scopes, "expires_at": expires_at},
        reason=reason,
    )
    return NewApiKey(key=key, secret=secret)
