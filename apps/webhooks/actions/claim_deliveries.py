"""Claim deliveries that are due, as many as may be in the air: two for an endpoint, eight for a workspace, thirty-two in all.

Claims follow each other (a lock until their transaction ends), so the limits hold over all machines. A claim whose sender was killed is
over with its lease, and the next sender sends again: at least once, always under the event's own id.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from django.db import transaction

from apps.lib.failpoints import failpoint
from apps.lib.ids import public_id, uuid7
from apps.lib.sql import server_cursor
from apps.webhooks.domain.schedule import FAILURES_BEFORE_REST
from apps.webhooks.models import EVENT_PREFIX, Attempt

LEASE = timedelta(seconds=60)
_IN_ALL = 32
_FOR_A_WORKSPACE = 8
_FOR_AN_ENDPOINT = 2
# Any number that nothing else locks by.
_LOCK = 0x776562686F6F6B73
_LOST = "Nobody knows what came of it: the process that sent it was lost."

_DUE = """
WITH busy AS (
    SELECT delivery.endpoint_id, endpoint.workspace_id, count(*) AS number
    FROM webhooks_delivery AS delivery JOIN webhooks_endpoint AS endpoint ON endpoint.id = delivery.endpoint_id
    WHERE delivery.state = 'sending' AND delivery.lease_until > %(now)s
    GROUP BY delivery.endpoint_id, endpoint.workspace_id
), due AS (
    SELECT delivery.id, delivery.due_at, endpoint.workspace_id
    FROM webhooks_endpoint AS endpoint LEFT JOIN busy ON busy.endpoint_id = endpoint.id
    CROSS JOIN LATERAL (
        SELECT id, due_at FROM webhooks_delivery
        WHERE endpoint_id = endpoint.id AND due_at <= %(now)s AND (state = 'waiting' OR (state = 'sending' AND lease_until <= %(now)s))
        ORDER BY due_at
        LIMIT greatest(0, CASE WHEN endpoint.failures >= %(weak)s THEN 1 ELSE %(for_an_endpoint)s END - coalesce(busy.number, 0))
        FOR UPDATE SKIP LOCKED
    ) AS delivery
    WHERE endpoint.is_enabled AND (endpoint.rests_until IS NULL OR endpoint.rests_until <= %(now)s)
), ranked AS (
    SELECT due.id, due.due_at, row_number() OVER (PARTITION BY due.workspace_id ORDER BY due.due_at)
        + coalesce((SELECT sum(number) FROM busy WHERE busy.workspace_id = due.workspace_id), 0) AS turn
    FROM due
)
SELECT id FROM ranked WHERE turn <= %(for_a_workspace)s ORDER BY turn, due_at
LIMIT greatest(0, %(in_all)s - (SELECT coalesce(sum(number), 0) FROM busy))
"""
_LOSSES = "SELECT id, attempts_made, lease_until FROM webhooks_delivery WHERE id = ANY(%s) AND state = 'sending'"
_TAKE = """
UPDATE webhooks_delivery AS delivery
SET state = 'sending', claim_id = %(claim_id)s, lease_until = %(until)s, tries = tries + 1, attempts_made = attempts_made + 1
FROM webhooks_endpoint AS endpoint, webhooks_event AS event
WHERE delivery.id = ANY(%(ids)s) AND endpoint.id = delivery.endpoint_id AND event.id = delivery.event_id
RETURNING delivery.id, delivery.claim_id, endpoint.id, event.id, event.payload, endpoint.url, endpoint.secret_sealed,
    CASE WHEN endpoint.previous_secret_until > %(now)s THEN endpoint.previous_secret_sealed ELSE '' END
"""


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a sender needs for one delivery, in the order in which the claim gives it."""

    delivery_id: UUID
    claim_id: UUID
    endpoint_id: UUID
    event_id: UUID
    payload: str
    url: str
    secret_sealed: str
    previous_secret_sealed: str

    @property
    def webhook_id(self) -> str:
        """The same for every attempt, so that receivers know what they have had."""
        return public_id(EVENT_PREFIX, self.event_id)


def claim_deliveries(*, now: datetime) -> list[Claimed]:
    """Those that may be sent at this moment, the longest due first; taken for a minute."""
    with transaction.atomic(), server_cursor() as cursor:
        cursor.execute("SELECT set_config('idle_in_transaction_session_timeout', '10s', true), pg_advisory_xact_lock(%s)", (_LOCK,))
        limits = {"in_all": _IN_ALL, "for_a_workspace": _FOR_A_WORKSPACE, "for_an_endpoint": _FOR_AN_ENDPOINT}
        cursor.execute(_DUE, {"now": now, "weak": FAILURES_BEFORE_REST} | limits)
        ids = [row[0] for row in cursor.fetchall()]
        if not ids:
            return []
        _note_losses(cursor, ids)
        claimed = _take(cursor, ids, now)
    failpoint("deliver.claimed")
    return claimed


def _note_losses(cursor: psycopg.Cursor[tuple[Any, ...]], ids: Sequence[UUID]) -> None:
    cursor.execute(_LOSSES, (ids,))
    Attempt.objects.bulk_create(
        Attempt(delivery_id=delivery_id, number=number, sent_at=lease_until - LEASE, error=_LOST)
        for delivery_id, number, lease_until in cursor.fetchall()
    )


def _take(cursor: psycopg.Cursor[tuple[Any, ...]], ids: Sequence[UUID], now: datetime) -> list[Claimed]:
    cursor.execute(_TAKE, {"ids": ids, "claim_id": uuid7(), "until": now + LEASE, "now": now})
    return [Claimed(*row) for row in cursor.fetchall()]
