"""Store bodies, each once."""

from collections.abc import Iterable

from apps.lib.sql import server_cursor
from apps.traces.domain.bodies import NewBody

# What is used again counts as new, to the day: it is kept as long as its newest use.
# Sorted by id: two groups that hold the same bodies then wait for each other in the same order.
_INSERT = """
INSERT INTO traces_body (id, workspace_id, content, size_bytes, created_at)
SELECT *, statement_timestamp() FROM unnest(%b::bytea[], %b::uuid[], %b::bytea[], %b::int4[])
ON CONFLICT (id) DO UPDATE SET created_at = EXCLUDED.created_at WHERE traces_body.created_at < EXCLUDED.created_at - interval '1 day'
"""


def store_bodies(bodies: Iterable[NewBody]) -> None:
    """Store what isn't stored yet, in one statement; call it inside the transaction that refers to them."""
    rows = [body for _, body in sorted({body.id: body for body in bodies}.items())]
    if not rows:
        return
    with server_cursor() as cursor:
        cursor.execute(
            _INSERT,
            (
                [row.id for row in rows],
                [row.workspace_id for row in rows],
                [row.content for row in rows],
                [row.size_bytes for row in rows],
            ),
        )
