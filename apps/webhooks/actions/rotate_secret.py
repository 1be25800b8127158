"""Give an endpoint a new secret while deliveries go out."""

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction

from apps.lib.sealing import seal
from apps.webhooks.actions.create_endpoint import NewEndpoint
from apps.webhooks.actions.lock_endpoint import lock_endpoint, record_endpoint_change
from apps.webhooks.domain.signatures import make_secret

OVERLAP = timedelta(hours=24)


@transaction.atomic
def rotate_secret(*, workspace_id: UUID, endpoint_id: UUID, now: datetime, reason: str = "") -> NewEndpoint:
    """For 24 hours every delivery is signed with both secrets. A second change within them ends the oldest secret at once."""
    endpoint = lock_endpoint(workspace_id=workspace_id, endpoint_id=endpoint_id)
    secret = make_secret()
    endpoint.previous_secret_sealed, endpoint.previous_secret_until = endpoint.secret_sealed, now + OVERLAP
    endpoint.secret_sealed = seal(secret, keys=settings.ENCRYPTION_KEYS, owner=endpoint.seal_owner)
    endpoint.updated_at = now
    endpoint.save(update_fields=["secret_sealed", "previous_secret_sealed", "previous_secret_until", "updated_at"])
    record_endpoint_change(endpoint, "rotated secret", reason=reason)
    return NewEndpoint(endpoint=endpoint, secret=secret)
