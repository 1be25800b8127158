"""Report, every minute, what waits, runs and died, by lane: for Flower's task list and the admin."""

from typing import Any

from django.db import connection

from apps.jobs.domain.lifecycle import Lane
from apps.jobs.domain.ready import NOT_HELD

# Open jobs only, so that the query's cost follows the work at hand and not the history.
_COUNTS = f"""
SELECT job.lane,
       coalesce(sum((SELECT count(*) FROM jobs_item WHERE job_id = job.id AND state = 'waiting')), 0)::int,
       coalesce(sum((SELECT count(*) FROM jobs_item WHERE job_id = job.id AND state = 'running')), 0)::int,
       coalesce(sum(job.dead), 0)::int,
       coalesce(max((SELECT extract(epoch FROM statement_timestamp() - greatest(min(not_before), job.held_until)) FROM jobs_item
                     WHERE job_id = job.id AND state = 'waiting' AND not_before <= statement_timestamp()
                       AND {NOT_HELD})), 0)::int
FROM jobs_job AS job WHERE job.ended_at IS NULL GROUP BY job.lane
"""  # noqa: S608 -- a constant


def report_work() -> dict[str, dict[str, Any]]:
    """`{lane: {waiting, running, dead, oldest_seconds}}` over the jobs that are open."""
    report = {lane.value: {"waiting": 0, "running": 0, "dead": 0, "oldest_seconds": 0} for lane in Lane}
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS)
        for lane, waiting, running, dead, oldest in cursor.fetchall():
            report[lane] = {"waiting": waiting, "running": running, "dead": dead, "oldest_seconds": oldest}
    return report
