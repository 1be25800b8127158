"""What dead items call for: found by indexes, in time that follows what died lately and not the history."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from apps.lib.ids import public_id
from apps.lib.sql import server_cursor
from apps.ops.domain import conditions
from apps.webhooks.domain.alerts import Alarm, Severity

DEAD_SHARE, DEAD_BURST, DEAD_POISON, DEAD_UNATTENDED = "dead.share", "dead.burst", "dead.poison", "dead.unattended"
# A look reads at most so many of those that died last, and raises at most so many alerts of a kind.
_NEWEST = 10_000
_MOST_ALERTS = 100
_LOOKED_BACK = timedelta(minutes=15)

# Candidates: jobs that run, jobs in which something died lately, and jobs that have an alert; these first, so that none of them is
# taken for over because others came. Counted to the threshold and little further.
_SHARE = """
WITH alerted AS (
    SELECT (data->>'job_uuid')::uuid AS id FROM webhooks_alert WHERE resolved_at IS NULL AND kind = %(kind)s
), candidates AS (
    SELECT id FROM jobs_job WHERE ended_at IS NULL AND dead > 0
    UNION SELECT job_id FROM (
        SELECT job_id FROM jobs_item WHERE state = 'dead' AND ended_at > %(since)s ORDER BY ended_at DESC LIMIT %(newest)s
    ) AS died
    UNION SELECT id FROM alerted
)
SELECT job.id, job.workspace_id, job.total, waiting.number, coalesce(file.filename, nullif(job.model_name, ''), job.kind)
FROM candidates JOIN jobs_job AS job ON job.id = candidates.id
LEFT JOIN files_file AS file ON file.id = coalesce(job.table_file_id, job.input_file_id)
CROSS JOIN LATERAL (
    SELECT count(*) AS number FROM (
        SELECT 1 FROM jobs_item WHERE job_id = job.id AND state = 'dead' AND discarded_at IS NULL LIMIT job.total / %(one_in)s + %(newest)s
    ) AS dead
) AS waiting
WHERE job.total >= %(least)s AND job.dead * %(one_in)s > job.total AND waiting.number * %(one_in)s > job.total
ORDER BY job.id IN (SELECT id FROM alerted) DESC, job.id DESC LIMIT %(most)s
"""
_BURST = """
SELECT workspace_id, count(*) FROM (
    SELECT workspace_id FROM jobs_item WHERE state = 'dead' AND discarded_at IS NULL AND ended_at > %(since)s
    ORDER BY ended_at DESC LIMIT %(newest)s
) AS died GROUP BY workspace_id HAVING count(*) > %(items)s
"""
_POISON = """
SELECT workspace.id, found.number, found.id, found.fingerprint FROM accounts_workspace AS workspace
CROSS JOIN LATERAL (
    SELECT count(*) AS number, (array_agg(id ORDER BY id DESC))[1] AS id, max(fingerprint) AS fingerprint FROM (
        SELECT id, fingerprint FROM jobs_item
        WHERE workspace_id = workspace.id AND fingerprint = %(fingerprint)s AND state = 'dead' AND discarded_at IS NULL LIMIT 1000
    ) AS dead
) AS found WHERE found.number > 0
"""
# A single call that failed told its caller so at once: nobody need attend to it.
_UNATTENDED = """
SELECT workspace_id, count(*), extract(epoch FROM %(now)s - min(ended_at))::float8 FROM (
    SELECT item.workspace_id, item.ended_at FROM jobs_item AS item JOIN jobs_job AS job ON job.id = item.job_id
    WHERE item.state = 'dead' AND item.discarded_at IS NULL AND item.ended_at <= %(before)s AND job.kind <> 'single'
    ORDER BY item.ended_at LIMIT %(newest)s
) AS waiting GROUP BY workspace_id
"""


def find_dead_share(*, now: datetime) -> Iterator[Alarm]:
    """Jobs of which more than one item in a hundred is dead and waits for a person."""
    values = {
        "since": now - _LOOKED_BACK, "newest": _NEWEST, "kind": DEAD_SHARE, "one_in": conditions.ONE_IN, "least": conditions.LEAST_ITEMS,
        "most": _MOST_ALERTS,
    }  # fmt: skip
    for job_id, workspace_id, total, dead, name in _rows(_SHARE, values):
        yield Alarm(
            kind=DEAD_SHARE,
            fingerprint=f"{DEAD_SHARE}:{job_id}",
            workspace_id=workspace_id,
            severity=Severity.WARNING,
            title=f"{dead:,} of {total:,} items of {name} are dead",
            text="More than one item in a hundred of this job was given up. Look at what they died of; when that is mended, run them again "
            "(as they were, or with another model or limit), or discard them.",
            path=reverse("admin:jobs_job_change", args=[job_id]),
            data={"job_id": public_id("batch_", job_id), "job_uuid": str(job_id), "dead": dead, "total": total},
        )


def find_dead_burst(*, now: datetime) -> Iterator[Alarm]:
    """Workspaces in which more than 25 items died within five minutes."""
    values = {"since": now - conditions.BURST_TIME, "newest": _NEWEST, "items": conditions.BURST_ITEMS}
    for workspace_id, dead in _rows(_BURST, values):
        yield Alarm(
            kind=DEAD_BURST,
            fingerprint=DEAD_BURST,
            workspace_id=workspace_id,
            severity=Severity.WARNING,
            title=f"{dead:,} items died within five minutes",
            text="Something fails for many items at once: a provider, a model that is gone, a request that none takes. Pause the job "
            "while you look, so that no more are given up; then run the dead ones again.",
            path=reverse("admin:jobs_item_dead"),
            data={"dead": dead},
        )


def find_dead_poison(*, fingerprint: str) -> Iterator[Alarm]:
    """Workspaces with an item that killed its worker while it ran alone."""
    for workspace_id, dead, item_id, group in _rows(_POISON, {"fingerprint": fingerprint}):
        yield Alarm(
            kind=DEAD_POISON,
            fingerprint=DEAD_POISON,
            workspace_id=workspace_id,
            severity=Severity.CRITICAL,
            title=f"{dead:,} item{'' if dead == 1 else 's'} killed the worker that ran {'it' if dead == 1 else 'them'} alone",
            text="The platform isolated what killed its workers again and again, and gave it up; other items are safe. Look at its request "
            "and tell whoever keeps the platform. Discard it, or run it again once the cause is mended.",
            path=f"{reverse('admin:jobs_item_dead')}?{urlencode({'group': group})}",
            data={"items": dead, "newest_item_id": public_id("item_", item_id)},
        )


def find_dead_unattended(*, now: datetime) -> Iterator[Alarm]:
    """Workspaces in which dead items have waited for a day."""
    values = {"now": now, "before": now - conditions.UNATTENDED, "newest": _NEWEST}
    for workspace_id, dead, seconds in _rows(_UNATTENDED, values):
        yield Alarm(
            kind=DEAD_UNATTENDED,
            fingerprint=DEAD_UNATTENDED,
            workspace_id=workspace_id,
            severity=Severity.WARNING,
            title=f"{dead:,} dead item{'' if dead == 1 else 's'} waited for more than a day",
            text=f"The oldest has waited for {conditions.say_seconds(seconds)}. Nothing becomes of dead items by itself: run them again, "
            "or discard them with a reason.",
            path=reverse("admin:jobs_item_dead"),
            data={"dead": dead, "oldest_seconds": int(seconds)},
        )


def _rows(query: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
    with server_cursor() as cursor:
        cursor.execute(query, values)
        return cursor.fetchall()
