"""Publish an event: its row and a delivery for each endpoint that wants it, in the transaction that makes it true."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.lib.enqueue import enqueue
from apps.lib.ids import public_id, uuid7
from apps.lib.sql import server_cursor
from apps.webhooks.domain.events import EventType, write_payload
from apps.webhooks.models import EVENT_PREFIX, Delivery

_INSERT = """
INSERT INTO webhooks_event (id, workspace_id, type, subject_id, occurrence, payload, created_at)
VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (subject_id, occurrence) DO NOTHING
"""
# One that is being deleted is waited for and then left out; changing one is not held up.
_WANTED_BY = "SELECT id FROM webhooks_endpoint WHERE workspace_id = %s AND is_enabled AND %s = ANY(events) ORDER BY id FOR KEY SHARE"


def publish_event(
    *, workspace_id: UUID, event_type: EventType, subject_id: UUID, occurrence: int, data: Mapping[str, Any], now: datetime
) -> bool:
    """Call it inside the transaction of what it tells. False when this end of it has been told before: nothing is written."""
    event_id = uuid7()
    payload = write_payload(event_id=public_id(EVENT_PREFIX, event_id), event_type=event_type, created_at=now, data=data)
    with server_cursor() as cursor:
        cursor.execute(_INSERT, (event_id, workspace_id, event_type.value, subject_id, occurrence, payload, now))
        if not cursor.rowcount:
            return False
        cursor.execute(_WANTED_BY, (workspace_id, event_type.value))
        endpoints = [row[0] for row in cursor.fetchall()]
    Delivery.objects.bulk_create(
        Delivery(event_id=event_id, endpoint_id=endpoint_id, due_at=now, created_at=now) for endpoint_id in endpoints
    )
    if endpoints:
        enqueue("webhooks.deliver", queue="control")
    return True
