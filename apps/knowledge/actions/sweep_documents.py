"""Ring again for documents that wait too long: their message was lost, or their reader."""

from datetime import timedelta

from django.conf import settings

from apps.lib.enqueue import enqueue
from apps.lib.sql import server_cursor

# A message may stand behind many others; a second one costs nothing but a look.
PATIENCE = timedelta(minutes=5)
_AT_ONCE = 200
_DUE = """
WITH due AS (
    SELECT id FROM knowledge_documentversion
    WHERE status = 'pending' AND read_at IS NULL AND (
        (claim_id IS NULL AND rung_at <= clock_timestamp() - %(patience)s)
        OR (lease_until <= clock_timestamp() AND rung_at <= clock_timestamp() - %(lease)s * interval '1 second')
    )
    ORDER BY rung_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
UPDATE knowledge_documentversion AS version SET rung_at = clock_timestamp() FROM due WHERE version.id = due.id RETURNING version.id
"""


def sweep_documents() -> int:
    """For how many it rang."""
    values = {"patience": PATIENCE, "lease": settings.DOCUMENTS_LEASE_SECONDS, "limit": _AT_ONCE}
    with server_cursor() as cursor:
        cursor.execute(_DUE, values)
        ids = [row[0] for row in cursor]
    for version_id in ids:
        enqueue("knowledge.extract_document", queue="ingest", version_id=str(version_id))
    return len(ids)
