"""Register an endpoint, and make its secret."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db import transaction

from apps.accounts.queries import lock_workspace
from apps.lib.http_errors import GIVE_UP, ApiError
from apps.lib.ids import uuid7
from apps.lib.sealing import seal
from apps.webhooks.actions.lock_endpoint import record_endpoint_change, require_good_url
from apps.webhooks.domain.events import EventType
from apps.webhooks.domain.signatures import make_secret
from apps.webhooks.models import Endpoint

MOST_ENDPOINTS = 20


@dataclass(frozen=True, slots=True)
class NewEndpoint:
    """The stored endpoint and its secret, which is told only here and now."""

    endpoint: Endpoint
    secret: str


@transaction.atomic
def create_endpoint(
    *, workspace_id: UUID, name: str, url: str, events: Sequence[EventType], now: datetime, reason: str = ""
) -> NewEndpoint:
    """ApiError 400 for a URL that must not be asked, 409 when the workspace has as many as it may."""
    require_good_url(url)
    lock_workspace(workspace_id)
    require_room(workspace_id)
    secret = make_secret()
    endpoint = Endpoint(id=uuid7(), workspace_id=workspace_id, name=name, url=url, events=sorted({event.value for event in events}))
    endpoint.created_at = endpoint.updated_at = now
    endpoint.secret_sealed = seal(secret, keys=settings.ENCRYPTION_KEYS, owner=endpoint.seal_owner)
    endpoint.save(force_insert=True)
    record_endpoint_change(endpoint, "created", after={"name": name, "url": url, "events": endpoint.events}, reason=reason)
    return NewEndpoint(endpoint=endpoint, secret=secret)


def require_room(workspace_id: UUID) -> None:
    """ApiError 409 when the workspace has as many endpoints as it may."""
    if Endpoint.objects.filter(workspace_id=workspace_id).count() >= MOST_ENDPOINTS:
        message = f"A workspace has at most {MOST_ENDPOINTS} webhook endpoints; delete one first."
        raise ApiError(409, "too_many_endpoints", message, headers=GIVE_UP)
