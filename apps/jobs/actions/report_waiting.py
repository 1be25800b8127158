"""Report what waits and runs, by model: what a provider's pause, limit or outage holds up."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from apps.jobs.domain.ready import READY_OF_JOB
from apps.lib.sql import server_cursor
from apps.providers.queries import model_names

# Of jobs with several models the waiting items are looked at one by one, so many at most.
MOST_LOOKED_AT = 20_000
# Of a job with one model everything that is open and doesn't run waits: its own counts tell, however many they are.
_PLAIN = f"""
SELECT job.model_name, sum(greatest(0, job.total - job.done - job.dead - running.number))::int8, sum(running.number)::int8,
    coalesce(sum(greatest(0, job.total - job.done - job.dead - running.number)) FILTER (WHERE job.status = 'paused'), 0)::int8,
    max(extract(epoch FROM statement_timestamp() - oldest.ready_at))::float8
FROM jobs_job AS job
CROSS JOIN LATERAL (SELECT count(*) AS number FROM jobs_item WHERE job_id = job.id AND state = 'running') AS running
CROSS JOIN LATERAL (
    SELECT greatest(min(not_before), job.held_until) AS ready_at FROM jobs_item
    WHERE {READY_OF_JOB}
) AS oldest
WHERE job.ended_at IS NULL AND job.status IN ('running', 'paused') AND job.model_name <> '' AND job.first_model_name = ''
    AND (%b::uuid[] IS NULL OR job.workspace_id = ANY(%b::uuid[]))
GROUP BY job.model_name
"""  # noqa: S608 -- a constant
_MIXED = """
SELECT model_id, count(*) FILTER (WHERE state = 'waiting'), count(*) FILTER (WHERE state = 'running'),
    count(*) FILTER (WHERE state = 'waiting' AND status = 'paused'),
    max(extract(epoch FROM statement_timestamp() - greatest(not_before, held_until)))
        FILTER (WHERE state = 'waiting' AND status = 'running' AND (held_by_id IS NULL OR held_until <= statement_timestamp()))::float8
FROM (
    SELECT item.*, job.status, job.held_by_id, job.held_until FROM jobs_job AS job CROSS JOIN LATERAL (
        (SELECT model_id, state, not_before FROM jobs_item WHERE job_id = job.id AND state = 'waiting' LIMIT %b)
        UNION ALL SELECT model_id, state, not_before FROM jobs_item WHERE job_id = job.id AND state = 'running'
    ) AS item
    WHERE job.ended_at IS NULL AND job.status IN ('running', 'paused') AND (job.model_name = '' OR job.first_model_name <> '')
        AND (%b::uuid[] IS NULL OR job.workspace_id = ANY(%b::uuid[]))
    LIMIT %b
) AS looked_at GROUP BY model_id
"""


@dataclass(slots=True)
class WaitingWork:
    """Work for one model. `oldest_seconds`: how long the oldest that could run has waited; `is_at_least`: there may be more."""

    model: str
    waiting: int = 0
    running: int = 0
    paused: int = 0
    oldest_seconds: float = 0.0
    is_at_least: bool = False


def report_waiting(*, workspace_ids: Sequence[UUID] | None) -> list[WaitingWork]:
    """By model, the one that most waits for first; of these workspaces' open jobs, or of all."""
    scope = None if workspace_ids is None else list(workspace_ids)
    names = model_names()
    with server_cursor() as cursor:
        cursor.execute(_PLAIN, (scope, scope))
        found = list(cursor)
        cursor.execute(_MIXED, (MOST_LOOKED_AT, scope, scope, MOST_LOOKED_AT))
        mixed = list(cursor)
    is_full = sum(row[1] + row[2] for row in mixed) >= MOST_LOOKED_AT
    work: dict[str, WaitingWork] = {}
    for name, waiting, running, paused, oldest in [*found, *((names.get(row[0], "a model that is gone"), *row[1:]) for row in mixed)]:
        one = work.setdefault(name, WaitingWork(name))
        one.waiting, one.running, one.paused = one.waiting + waiting, one.running + running, one.paused + paused
        one.oldest_seconds = max(one.oldest_seconds, oldest or 0.0)
        one.is_at_least = is_full
    return sorted((one for one in work.values() if one.waiting or one.running), key=lambda one: (-one.waiting, one.model))
