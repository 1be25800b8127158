"""Pin a snapshot to a state: whoever asks the same in the same state gets what the first one got."""

from dataclasses import dataclass
from uuid import UUID

import structlog

from apps.knowledge.actions.count_pins import count_pin
from apps.knowledge.models import Snapshot
from apps.lib.ids import uuid7
from apps.lib.sql import server_cursor

log = structlog.get_logger(__name__)

# One statement: who comes second waits for the first, changes nothing, and is told what the first one wrote.
_PIN = """
INSERT INTO knowledge_pin AS pin (id, workspace_id, scope, state_version, query_key, snapshot_id)
VALUES (%(id)s, %(workspace)s, %(scope)s, %(version)s, %(key)s, %(snapshot)s)
ON CONFLICT (workspace_id, scope, state_version, query_key) DO UPDATE SET scope = pin.scope
RETURNING snapshot_id, id = %(id)s
"""


@dataclass(frozen=True, slots=True)
class PinTo:
    """A state that somebody keeps: a conversation, say, and how often it has changed."""

    scope: str
    state_version: int


def find_pinned(*, workspace_id: UUID, pin_to: PinTo, query_key: str) -> Snapshot | None:
    """What this state has for the question."""
    pins = {"workspace_id": workspace_id, "scope": pin_to.scope, "state_version": pin_to.state_version, "query_key": query_key}
    return Snapshot.objects.filter(**{f"pins__{name}": value for name, value in pins.items()}).first()


def pin_snapshot(*, snapshot: Snapshot, pin_to: PinTo, query_key: str) -> Snapshot:
    """The state's snapshot: this one, or the one that was pinned first."""
    values = {
        "id": uuid7(),
        "workspace": snapshot.workspace_id,
        "scope": pin_to.scope,
        "version": pin_to.state_version,
        "key": query_key,
        "snapshot": snapshot.id,
    }
    with server_cursor() as cursor:
        cursor.execute(_PIN, values)
        [(winner, is_first)] = cursor.fetchall()
    count_pin("won" if is_first else "lost")
    if winner == snapshot.id:
        return snapshot
    log.info("pin_lost", scope=pin_to.scope, state_version=pin_to.state_version, found=snapshot.id, pinned=winner)
    return Snapshot.objects.get(id=winner)
