"""Let files go whose time is over, except what a job that has not ended reads or will replace."""

from datetime import datetime
from uuid import UUID

from apps.files import actions as files
from apps.lib.sql import server_cursor

# Open jobs are few, and have an index. A single call has no files.
_NEEDED = """
SELECT DISTINCT file_id FROM jobs_job AS job,
    unnest(ARRAY[job.input_file_id, job.table_file_id, job.output_file_id, job.error_file_id]) AS file_id
WHERE job.ended_at IS NULL AND job.kind <> 'single' AND file_id IS NOT NULL
"""


def expire_files(*, now: datetime) -> int:
    """How many went."""
    return files.expire_files(now=now, find_needed=_find_needed)


def _find_needed() -> list[UUID]:
    with server_cursor() as cursor:
        cursor.execute(_NEEDED)
        return [row[0] for row in cursor]
