"""Record what tools do: that one begins, before it does, and what it came to. Each call has one row, whichever runs try it."""

from apps.lib.ids import uuid7
from apps.lib.sql import server_cursor
from apps.traces.actions.store_bodies import store_bodies
from apps.traces.domain.bodies import make_body
from apps.traces.domain.records import EffectEnd, EffectRecord, EffectState
from apps.traces.queries import read_bodies

_BEGIN = """
INSERT INTO traces_effect (id, workspace_id, item_id, run_id, seq, place, tool, side_effect, arguments_body_id, state)
VALUES (%b, %b, %b, %b, %b, %b, %b, %b, %b, %b)
ON CONFLICT (item_id, seq, place) DO NOTHING
RETURNING id
"""
_FIND = "SELECT outcome, result_body_id, snapshot_id FROM traces_effect WHERE item_id = %b AND seq = %b AND place = %b"
_LOCK = "SELECT id FROM traces_effect WHERE item_id = %b AND seq = %b AND place = %b AND ended_at IS NULL FOR UPDATE"
_END = """
UPDATE traces_effect SET outcome = %b, result_body_id = %b, snapshot_id = %b, ended_at = statement_timestamp()
WHERE id = (
    SELECT id FROM traces_effect WHERE item_id = %b AND seq = %b AND place = %b AND ended_at IS NULL FOR UPDATE {wait}
)
RETURNING id
"""
_GONE = b'{"error": "The result has expired."}'


def begin_effect(record: EffectRecord) -> EffectState:
    """Write that it begins, or say how it stands if another run has begun it. Commit before the tool does anything."""
    body = make_body(record.workspace_id, record.arguments)
    store_bodies([body])
    with server_cursor() as cursor:
        values = (uuid7(), record.workspace_id, record.item_id, record.run_id, record.seq, record.place)
        cursor.execute(_BEGIN, (*values, record.tool, record.side_effect, body.id, record.state))
        if cursor.fetchone() is not None:
            return EffectState(is_new=True, end=None)
    return EffectState(is_new=False, end=find_end(record))


def find_end(record: EffectRecord) -> EffectEnd | None:
    """What the call came to; None for one without an end, or without a row."""
    with server_cursor() as cursor:
        cursor.execute(_FIND, _place(record))
        row = cursor.fetchone()
    if row is None or not row[0]:
        return None
    outcome, body_id, snapshot_id = row
    result = read_bodies([body_id]).get(body_id, _GONE) if body_id is not None else b""
    return EffectEnd(outcome, result, snapshot_id)


def lock_effect(record: EffectRecord) -> bool:
    """Hold the call until the transaction ends; False when it has an end. Whoever holds it is waited for."""
    with server_cursor() as cursor:
        cursor.execute(_LOCK, _place(record))
        return cursor.fetchone() is not None


def end_effect(record: EffectRecord, end: EffectEnd, *, waits: bool = True) -> bool:
    """Write what it came to; False when it has an end already, or (unless it `waits`) while another holds it."""
    body = make_body(record.workspace_id, end.result)
    statement = _END.format(wait="" if waits else "SKIP LOCKED")
    with server_cursor() as cursor:
        cursor.execute(statement, (end.outcome, body.id, end.snapshot_id, *_place(record)))
        is_ended = cursor.fetchone() is not None
    if is_ended:
        store_bodies([body])
    return is_ended


def _place(record: EffectRecord) -> tuple[object, ...]:
    return record.item_id, record.seq, record.place
