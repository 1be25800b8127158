"""Erase what belongs to workspaces that are being deleted, bit by bit; whatever stops it, the next time goes on.

In bites of a few thousand rows, each a transaction of its own. A workspace whose jobs have not all ended waits for them.
"""

import time
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import structlog

from apps.accounts.actions import end_workspace
from apps.accounts.queries import closed_workspaces
from apps.files.actions import erase_files
from apps.jobs.actions import cancel_all, forget_pieces
from apps.lib.advisory_lock import advisory_lock
from apps.lib.sql import server_cursor
from apps.ops.domain.erasure import AFTER_FILES, BEFORE_FILES, Step

log = structlog.get_logger(__name__)

_AT_ONCE = 2_000
_FILES_AT_ONCE = 200
_SECONDS = 200.0


class _OutOfTimeError(Exception):
    pass


def erase_workspaces(*, clock: Callable[[], datetime]) -> dict[str, int]:
    """How many rows went, and how many workspaces came to their end."""
    until = time.monotonic() + _SECONDS
    erased = {"rows": 0, "workspaces": 0}

    def count(rows: int) -> int:
        erased["rows"] += rows
        if rows and time.monotonic() > until:
            raise _OutOfTimeError
        return rows

    for workspace_id in closed_workspaces(now=clock()):
        with advisory_lock(workspace_id) as is_mine:
            try:
                if is_mine and _erase(workspace_id, count, now=clock()):
                    erased["workspaces"] += end_workspace(workspace_id=workspace_id, now=clock())
            except _OutOfTimeError:
                break
    if erased["rows"]:
        log.info("workspaces_erased", **erased)
    return erased


def _erase(workspace_id: UUID, count: Callable[[int], int], *, now: datetime) -> bool:
    """True once nothing is left; False while jobs are open."""
    if cancel_all(workspace_id=workspace_id, now=now, reason="The workspace is being deleted."):
        return False
    # Once more after all is gone: whoever was let in before it was closed may have written meanwhile.
    while _pass(workspace_id, count, now=now):
        if cancel_all(workspace_id=workspace_id, now=now, reason="The workspace is being deleted."):
            return False
    return True


def _pass(workspace_id: UUID, count: Callable[[int], int], *, now: datetime) -> int:
    # By its items, so before them.
    forget_pieces(workspace_id=workspace_id, now=now)
    rows = sum(_do(step, workspace_id, count) for step in BEFORE_FILES)
    while gone := count(erase_files(workspace_id=workspace_id, at_once=_FILES_AT_ONCE)):
        rows += gone
    return rows + sum(_do(step, workspace_id, count) for step in AFTER_FILES)


def _do(step: Step, workspace_id: UUID, count: Callable[[int], int]) -> int:
    """All rows of one table, bite by bite."""
    after, rows = UUID(int=0), 0
    while True:
        with server_cursor() as cursor:
            cursor.execute(step.statement, {"workspace": workspace_id, "after": after, "limit": _AT_ONCE})
            bite, last = cursor.fetchone() or (0, None)
        rows += count(bite)
        if bite < _AT_ONCE:
            return rows
        after = UUID(last) if last else after
