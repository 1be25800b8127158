"""Use stored bodies again without having their contents at hand."""

from collections.abc import Sequence

from apps.lib.sql import server_cursor

# As store_bodies has it: what is used again counts as new, to the day. Locked by id, so that groups wait in one order.
_USE = """
WITH used AS (
    SELECT id FROM traces_body
    WHERE id = ANY(%b::bytea[]) AND created_at < statement_timestamp() - interval '1 day' ORDER BY id FOR NO KEY UPDATE
)
UPDATE traces_body AS body SET created_at = statement_timestamp() FROM used WHERE body.id = used.id
"""


def use_bodies(ids: Sequence[bytes]) -> None:
    """Keep these as long as new ones, inside the transaction that refers to them."""
    if ids:
        with server_cursor() as cursor:
            cursor.execute(_USE, (list(ids),))
