"""Endpoints, events and deliveries."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils import timezone

from apps.accounts.models import Workspace
from apps.lib.ids import uuid7
from apps.webhooks.actions import create_endpoint, publish_event
from apps.webhooks.domain.events import EventType
from apps.webhooks.models import Delivery, Endpoint
from tests.factories.accounts import make_workspace

URL = "https://hooks.example.com/in"


def make_endpoint_with_secret(
    workspace: Workspace | None = None, *, url: str = URL, events: Sequence[EventType] = tuple(EventType), name: str = "receiver"
) -> tuple[Endpoint, str]:
    owner = workspace or make_workspace()
    made = create_endpoint(workspace_id=owner.id, name=name, url=url, events=events, now=timezone.now())
    return made.endpoint, made.secret


def make_endpoint(workspace: Workspace | None = None, *, url: str = URL, id: UUID | None = None, **values: Any) -> Endpoint:  # noqa: A002 -- the column's name
    endpoint, _ = make_endpoint_with_secret(workspace, url=url)
    if id is not None:
        # Its secret is sealed for the old id: enough for looking at.
        Endpoint.objects.filter(id=endpoint.id).update(id=id)
        endpoint.id = id
    Endpoint.objects.filter(id=endpoint.id).update(**values or {"name": endpoint.name})
    endpoint.refresh_from_db()
    return endpoint


def publish(
    workspace: Workspace | None = None,
    *,
    event_type: EventType = EventType.BATCH_COMPLETED,
    subject_id: UUID | None = None,
    occurrence: int = 1,
    now: datetime | None = None,
) -> UUID:
    """An event of a made-up batch; its subject's id."""
    subject = subject_id or uuid7()
    publish_event(
        workspace_id=(workspace or make_workspace()).id,
        event_type=event_type,
        subject_id=subject,
        occurrence=occurrence,
        data={"id": f"batch_{subject.hex}"},
        now=now or timezone.now(),
    )
    return subject


def make_delivery(workspace: Workspace | None = None, *, endpoint: Endpoint | None = None, **values: Any) -> Delivery:
    """A delivery that waits, to an endpoint of its own unless one is named."""
    owner = workspace or make_workspace()
    target = endpoint or make_endpoint(owner)
    subject = publish(owner)
    delivery = Delivery.objects.get(endpoint=target, event__subject_id=subject)
    Delivery.objects.filter(id=delivery.id).update(**values or {"state": delivery.state})
    delivery.refresh_from_db()
    return delivery
