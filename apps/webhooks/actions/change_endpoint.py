"""Change an endpoint's name, URL or events; switch it on and off; delete it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from apps.webhooks.actions.lock_endpoint import lock_endpoint, record_endpoint_change, require_good_url
from apps.webhooks.actions.record_attempt import cancel_waiting
from apps.webhooks.domain.schedule import HEALTHY
from apps.webhooks.models import Attempt, Delivery, Endpoint

CHANGEABLE = ("name", "url", "events", "is_enabled")


@transaction.atomic
def change_endpoint(*, workspace_id: UUID, endpoint_id: UUID, changes: Mapping[str, Any], now: datetime, reason: str = "") -> Endpoint:
    """`changes` by the names in CHANGEABLE. Switched off, what waits is given up; switched on, its failures are forgotten."""
    endpoint = lock_endpoint(workspace_id=workspace_id, endpoint_id=endpoint_id)
    before = {name: getattr(endpoint, name) for name in CHANGEABLE}
    wanted = before | {name: changes[name] for name in CHANGEABLE if name in changes}
    wanted["events"] = sorted({str(event) for event in wanted["events"]})
    if wanted == before:
        return endpoint
    if wanted["url"] != before["url"]:
        require_good_url(wanted["url"])
    for name, value in wanted.items():
        setattr(endpoint, name, value)
    endpoint.updated_at = now
    if wanted["is_enabled"] and (not before["is_enabled"] or wanted["url"] != before["url"]):
        endpoint.failures, endpoint.failing_since, endpoint.rests_until = HEALTHY.failures, None, None
        endpoint.switched_off_because = ""
    endpoint.save()
    if before["is_enabled"] and not wanted["is_enabled"]:
        cancel_waiting(endpoint, now=now)
    record_endpoint_change(endpoint, "changed", before=before, after=wanted, reason=reason)
    return endpoint


@transaction.atomic
def delete_endpoint(*, workspace_id: UUID, endpoint_id: UUID, reason: str = "") -> None:
    """With its deliveries and their attempts; nothing is sent there any more."""
    endpoint = lock_endpoint(workspace_id=workspace_id, endpoint_id=endpoint_id)
    before = {"name": endpoint.name, "url": endpoint.url, "events": endpoint.events}
    record_endpoint_change(endpoint, "deleted", before=before, reason=reason)
    Attempt.objects.filter(delivery__endpoint=endpoint).delete()
    Delivery.objects.filter(endpoint=endpoint).delete()
    endpoint.delete()
