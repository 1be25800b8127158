"""Cancel an item that has not been sent: its caller has gone, or can't wait any longer."""

from uuid import UUID

from django.db import transaction

from apps.lib.sql import server_cursor

# Fenced by its state: what a pump has claimed may have been sent, so it finishes, is stored and charged. So does what waits for its
# next step after an answer that has been paid for.
_CANCEL = """
UPDATE jobs_item SET state = 'cancelled', ended_at = statement_timestamp()
WHERE id = %b AND state = 'waiting' AND paid_calls = 0 RETURNING job_id
"""
_CLOSE = """
UPDATE jobs_job SET status = 'cancelled', cancelling_at = statement_timestamp(), ended_at = statement_timestamp()
WHERE id = %b AND kind = 'single' AND ended_at IS NULL
"""


def cancel_item(*, item_id: UUID) -> bool:
    """End a waiting item of a single call together with its job; False when it runs, has ended, or was never submitted."""
    with transaction.atomic(), server_cursor() as cursor:
        cursor.execute(_CANCEL, (item_id,))
        row = cursor.fetchone()
        if row is None:
            return False
        cursor.execute(_CLOSE, (row[0],))
    return True
