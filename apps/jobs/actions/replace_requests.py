"""Give items new requests; the old bodies stay with the runs of before."""

from collections.abc import Sequence
from uuid import UUID

from apps.lib.sql import server_cursor
from apps.traces.actions import store_bodies
from apps.traces.domain.bodies import make_body

_NEW_BODIES = """
UPDATE jobs_item AS item SET request_body_id = new.body FROM unnest(%b::uuid[], %b::bytea[]) AS new (id, body) WHERE item.id = new.id
"""


def replace_requests(requests: Sequence[tuple[UUID, UUID, bytes]]) -> None:
    """(item, workspace, request) of each; inside the transaction that has the items wait anew."""
    made = [(item_id, make_body(workspace_id, content)) for item_id, workspace_id, content in requests]
    store_bodies([body for _, body in made])
    with server_cursor() as cursor:
        cursor.execute(_NEW_BODIES, ([item_id for item_id, _ in made], [body.id for _, body in made]))
