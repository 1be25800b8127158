"""Read the record."""

from collections.abc import Sequence

from apps.lib.sql import server_cursor
from apps.traces.domain.bodies import open_body


def read_bodies(ids: Sequence[bytes]) -> dict[bytes, bytes]:
    """The contents behind `ids`, by id; one that is gone (expired) is left out."""
    with server_cursor() as cursor:
        cursor.execute("SELECT id, content FROM traces_body WHERE id = ANY(%b::bytea[])", (list(ids),))
        return {body_id: open_body(content) for body_id, content in cursor}


def read_body_sizes(ids: Sequence[bytes]) -> dict[bytes, int]:
    """How many bytes each content has, so that big ones need not be read together."""
    with server_cursor() as cursor:
        cursor.execute("SELECT id, size_bytes FROM traces_body WHERE id = ANY(%b::bytea[])", (list(ids),))
        return dict(cursor.fetchall())
