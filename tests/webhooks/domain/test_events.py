"""The payload is OpenAI's, and small."""

import json
from datetime import UTC, datetime

import pytest

from apps.webhooks.domain.events import EventType, PayloadTooLargeError, write_payload

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def test_the_payload_has_openais_shape() -> None:
    text = write_payload(event_id="evt_1", event_type=EventType.BATCH_COMPLETED, created_at=NOW, data={"id": "batch_1"})
    assert json.loads(text) == {
        "object": "event",
        "id": "evt_1",
        "type": "batch.completed",
        "created_at": 1795262400,
        "data": {"id": "batch_1"},
    }


def test_a_payload_is_at_most_20_kb() -> None:
    with pytest.raises(PayloadTooLargeError):
        write_payload(event_id="evt_1", event_type=EventType.BATCH_FAILED, created_at=NOW, data={"id": "x" * 20_000})
