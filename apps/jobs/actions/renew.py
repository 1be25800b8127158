"""Keep leases and pumps alive, by the Postgres clock."""

from collections.abc import Sequence
from uuid import UUID

from django.conf import settings
from django.db.models.functions import Now

from apps.jobs.models import Pump, PumpState
from apps.lib.sql import server_cursor

# What settle holds locked at this moment needs no renewal; waiting for it could end in a deadlock. A lease begins when its row is
# written: from the beginning of a statement that had to wait for a lock it could be over already.
_RENEW = """
WITH due AS (
    SELECT item.id FROM jobs_item AS item
    JOIN unnest(%s::uuid[], %s::uuid[]) AS held (id, run) ON item.id = held.id AND item.run_id = held.run
    WHERE item.state = 'running' FOR UPDATE OF item SKIP LOCKED
)
UPDATE jobs_item AS item SET lease_until = clock_timestamp() + %s * interval '1 second' FROM due WHERE item.id = due.id
"""


def renew_leases(held: Sequence[tuple[UUID, UUID]]) -> None:
    """Prolong the claims on `held` (item id, run id) in one statement; those lost meanwhile are left alone."""
    if held:
        with server_cursor() as cursor:
            cursor.execute(_RENEW, ([item for item, _ in held], [run for _, run in held], settings.JOBS_LEASE_SECONDS))


def renew_pump(*, pump_id: UUID, state: PumpState, in_flight: int, done: int, dead: int) -> bool:
    """Say that the pump lives; the answer tells whether its successor has begun to claim."""
    Pump.objects.filter(id=pump_id).update(renewed_at=Now(), state=state, in_flight=in_flight, done=done, dead=dead)
    return Pump.objects.filter(replaces_id=pump_id).exists()
