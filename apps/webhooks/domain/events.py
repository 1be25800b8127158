"""What can be told, and how it is written."""

import json
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

LARGEST_PAYLOAD_BYTES = 20_000


class EventType(StrEnum):
    """What an endpoint may ask for: OpenAI's events of a batch, and the workspace's alerts."""

    BATCH_COMPLETED = "batch.completed"
    BATCH_FAILED = "batch.failed"
    BATCH_EXPIRED = "batch.expired"
    BATCH_CANCELLED = "batch.cancelled"
    ALERT_RAISED = "alert.raised"
    ALERT_RESOLVED = "alert.resolved"


# What an endpoint is told of that was registered without saying: programs that know OpenAI's events are not surprised by others.
BATCH_EVENTS = (EventType.BATCH_COMPLETED, EventType.BATCH_FAILED, EventType.BATCH_EXPIRED, EventType.BATCH_CANCELLED)
# Sent on demand to one endpoint; no endpoint asks for it, and no program acts on it by mistake.
TEST_EVENT = "webhook.test"


class PayloadTooLargeError(ValueError):
    """An event is a hint where to look, not the thing itself."""


def write_payload(*, event_id: str, event_type: str, created_at: datetime, data: Mapping[str, Any]) -> str:
    """The body of every delivery of an event, byte for byte the same each time; in OpenAI's shape."""
    event = {"object": "event", "id": event_id, "type": event_type, "created_at": int(created_at.timestamp()), "data": dict(data)}
    text = json.dumps(event, separators=(",", ":"))
    if len(text) > LARGEST_PAYLOAD_BYTES:
        raise PayloadTooLargeError(f"{event_type} {event_id}: {len(text):,} bytes are more than {LARGEST_PAYLOAD_BYTES:,}")
    return text
