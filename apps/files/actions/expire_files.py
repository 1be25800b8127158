"""Let go of files whose time is over.

In bites, each a transaction of its own: rows first, then their bytes. Bytes that a kill leaves behind are strays, and go with those.
"""

import time
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.core.files.storage import default_storage
from django.db import transaction

from apps.files.domain.upload import RETAINED_PURPOSES
from apps.lib.failpoints import failpoint
from apps.lib.sql import server_cursor

_AT_ONCE = 500
_SECONDS = 200.0
# Callers see a file no more from the moment at which it expires. Whoever took it for a job just before has said so when this is over.
_GRACE = timedelta(minutes=10)
# No upload takes a day; what is older was left by a process that was killed while it wrote.
_SPOOLED_AT_MOST = timedelta(days=1)
# Files from before there was a usual time, or from when it was 0. From this look on they have their whole time: nobody chose a shorter one.
_LIMIT = """
WITH bare AS (
    SELECT file.id, coalesce(workspace.keep_files_days, %(days)s) * interval '1 day' AS kept_for
    FROM files_file AS file JOIN accounts_workspace AS workspace ON workspace.id = file.workspace_id
    WHERE file.deleted_at IS NULL AND file.expires_at IS NULL AND file.purpose = ANY(%(purposes)s::text[])
      AND coalesce(workspace.keep_files_days, %(days)s) > 0
    LIMIT %(limit)s FOR UPDATE OF file SKIP LOCKED
)
UPDATE files_file AS file SET expires_at = %(now)s + bare.kept_for FROM bare WHERE file.id = bare.id
"""
_EXPIRE = """
WITH due AS (
    SELECT id FROM files_file
    WHERE deleted_at IS NULL AND expires_at <= %(before)s AND id <> ALL(%(needed)s::uuid[])
    ORDER BY expires_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
UPDATE files_file AS file SET deleted_at = %(now)s FROM due WHERE file.id = due.id RETURNING file.storage_key
"""


def expire_files(*, now: datetime, find_needed: Callable[[], Collection[UUID]]) -> int:
    """Delete what has expired; returns how many. `find_needed` tells what must stay all the same; it is asked before each bite.

    What it can't do within some minutes it leaves for the next time.
    """
    until = time.monotonic() + _SECONDS
    _repeat(lambda: _limit(now), until)
    return _repeat(lambda: _expire(now, find_needed()), until)


def clear_spool(*, now: datetime) -> int:
    """Remove what was left of uploads that were broken off by a kill; returns how many."""
    old = [path for path in settings.FILE_UPLOAD_TEMP_DIR.iterdir() if path.stat().st_mtime < (now - _SPOOLED_AT_MOST).timestamp()]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def _repeat(bite: Callable[[], int], until: float) -> int:
    total = 0
    while time.monotonic() < until:
        count = bite()
        total += count
        if count < _AT_ONCE:
            break
    return total


def _limit(now: datetime) -> int:
    values = {"days": settings.KEEP_FILES_DAYS, "purposes": list(RETAINED_PURPOSES), "now": now, "limit": _AT_ONCE}
    with server_cursor() as cursor:
        cursor.execute(_LIMIT, values)
        return cursor.rowcount


def _expire(now: datetime, needed: Collection[UUID]) -> int:
    with transaction.atomic(), server_cursor() as cursor:
        cursor.execute(_EXPIRE, {"before": now - _GRACE, "needed": list(needed), "now": now, "limit": _AT_ONCE})
        keys = [row[0] for row in cursor]
    failpoint("expire.after_commit")
    for key in keys:
        default_storage.delete(key)
    return len(keys)
