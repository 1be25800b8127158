"""Forget what is older than it is kept: requests and answers, attempts, ended items. Charges, jobs and the audit log stay.

In bites of a few thousand rows, each a transaction of its own, oldest first: whatever stops it, the next hour goes on.
"""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings

from apps.accounts.queries import list_retention
from apps.lib.ids import first_uuid7
from apps.lib.sql import server_cursor
from apps.providers.actions import forget_transitions

_AT_ONCE = 2_000
_SECONDS = 200.0
_OLDEST = UUID(int=0)
# A dead item waits for a person, and may run again: what it asked for, and what it goes on from, is as fresh as a new body for as long.
# A single call that died does not: its caller was told, and it can't run again.
_KEEP_DEAD = """
WITH dead AS (
    SELECT id, job_id, request_body_id, draft_body_id, discarded_at FROM jobs_item
    WHERE state = 'dead' AND id > %(after)s ORDER BY id LIMIT %(limit)s
), kept AS (
    UPDATE traces_body AS body SET created_at = statement_timestamp()
    FROM dead JOIN jobs_job AS job ON job.id = dead.job_id
    WHERE body.id IN (dead.request_body_id, dead.draft_body_id) AND dead.discarded_at IS NULL AND job.kind <> 'single'
      AND body.created_at < statement_timestamp() - interval '12 hours'
)
SELECT id FROM dead ORDER BY id DESC LIMIT 1
"""
_FORGET = """
WITH old AS (
    SELECT kept.id, kept.{order} AS place FROM {table} AS kept JOIN accounts_workspace AS workspace ON workspace.id = kept.workspace_id
    WHERE kept.{order} > %(after)s AND kept.{order} < %(before)s AND {condition}
      AND kept.{age} < %(now)s - coalesce(workspace.{days}, %(days)s) * interval '1 day'
    ORDER BY kept.{order} LIMIT %(limit)s
), gone AS (DELETE FROM {table} WHERE id IN (SELECT id FROM old)){also}
SELECT count(*), max(place::text) FROM old
"""


@dataclass(frozen=True, slots=True)
class _Kind:
    """A table of which old rows go: what its rows are ordered and aged by, which of them may go, and what goes with them."""

    name: str
    table: str
    order: str
    age: str
    setting: str
    days: str
    condition: str = "true"
    also: str = ""

    @property
    def statement(self) -> str:
        return _FORGET.format(table=self.table, order=self.order, age=self.age, days=self.days, condition=self.condition, also=self.also)


_KINDS = (
    _Kind("bodies", "traces_body", "created_at", "created_at", "KEEP_BODIES_DAYS", "keep_bodies_days"),
    _Kind("exchanges", "traces_exchange", "id", "sent_at", "KEEP_RUNS_DAYS", "keep_runs_days"),
    _Kind("effects", "traces_effect", "id", "started_at", "KEEP_RUNS_DAYS", "keep_runs_days"),
    _Kind("runs", "traces_run", "id", "ended_at", "KEEP_RUNS_DAYS", "keep_runs_days"),
    _Kind(
        "items", "jobs_item", "id", "ended_at", "KEEP_ITEMS_DAYS", "keep_items_days",
        condition="(kept.state IN ('done', 'cancelled', 'expired') OR kept.discarded_at IS NOT NULL OR (kept.state = 'dead' AND EXISTS "
        "(SELECT FROM jobs_job AS job WHERE job.id = kept.job_id AND job.kind = 'single'))) "
        # What died of a recipe's step may run again, and goes on from what its document was answered before.
        "AND NOT (EXISTS (SELECT FROM jobs_stepitem WHERE item_id = kept.id) AND EXISTS "
        "(SELECT FROM jobs_item AS dead WHERE dead.job_id = kept.job_id AND dead.state = 'dead' AND dead.discarded_at IS NULL))",
        also=", places AS (DELETE FROM jobs_stepitem WHERE item_id IN (SELECT id FROM old))",
    ),
)  # fmt: skip


def forget_old(*, now: datetime) -> dict[str, int]:
    """How many rows of each kind went; what it can't do within some minutes it leaves for the next time."""
    _keep_dead()
    until = time.monotonic() + _SECONDS
    forgotten = {kind.name: _forget(kind, now=now, until=until) for kind in _KINDS}
    return forgotten | {"transitions": forget_transitions(now=now)}


def _keep_dead() -> None:
    """To the end, whatever it takes: what is forgotten next must not be theirs."""
    after = _OLDEST
    with server_cursor() as cursor:
        while True:
            cursor.execute(_KEEP_DEAD, {"after": after, "limit": _AT_ONCE})
            if (row := cursor.fetchone()) is None:
                return
            after = row[0]


def _forget(kind: _Kind, *, now: datetime, until: float) -> int:
    usual = int(getattr(settings, kind.setting))
    shortest = min([usual, *list_retention(kind.days)])
    before: Any = now - timedelta(days=shortest)
    after: Any = now - timedelta(days=36_500)
    if kind.order == "id":
        before, after = first_uuid7(before), _OLDEST
    forgotten = 0
    while time.monotonic() < until:
        with server_cursor() as cursor:
            cursor.execute(kind.statement, {"after": after, "before": before, "now": now, "days": usual, "limit": _AT_ONCE})
            count, last = cursor.fetchone() or (0, None)
        forgotten += count
        if count < _AT_ONCE or last is None:
            break
        after = UUID(last) if kind.order == "id" else datetime.fromisoformat(last)
    return forgotten
