"""Keep leases and pumps alive, by the Postgres clock."""

from collections.abc import Sequence
from uuid import UUID

from django.conf import settings
from django.db.models.functions import Now

from apps.jobs.models import Pump, PumpState
from apps.lib.sql import server_cursor

_RENEW = """
UPDATE jobs_item SET lease_until = statement_timestamp() + %s * interval '1 second'
FROM unnest(%s::uuid[], %s::uuid[]) AS held (id, run)
WHERE jobs_item.id = held.id AND run_id = held.run AND state = 'running'
"""


def renew_leases(held: Sequence[tuple[UUID, UUID]]) -> None:
    """Prolong the claims on `held` (item id, run id) in one statement; those lost meanwhile are left alone."""
    if held:
        with server_cursor() as cursor:
            cursor.execute(_RENEW, (settings.JOBS_LEASE_SECONDS, [item for item, _ in held], [run for _, run in held]))


def renew_pump(*, pump_id: UUID, state: PumpState, in_flight: int, done: int, dead: int) -> bool:
    """Say that the pump lives; the answer tells whether its successor has begun to claim."""
    Pump.objects.filter(id=pump_id).update(renewed_at=Now(), state=state, in_flight=in_flight, done=done, dead=dead)
    return Pump.objects.filter(replaces_id=pump_id).exists()
