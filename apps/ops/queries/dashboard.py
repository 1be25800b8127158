"""The home page of the back office: is it up, what runs, what waits, what died, what it cost today."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from apps.jobs.actions import find_shortages
from apps.jobs.queries import count_dead_since, list_open_jobs, list_recent_jobs, read_lanes
from apps.ops.queries.health import check_readiness
from apps.spend.queries import read_cost_of_day


def read_dashboard(*, workspace_ids: list[UUID] | None, day_began_at: datetime, now: datetime) -> dict[str, Any]:
    """Everything the page shows; of these workspaces, or of all when None. What it costs follows the open work, not the history."""
    checks = check_readiness()
    lanes = read_lanes(workspace_ids=workspace_ids)
    return {
        "checks": checks,
        "failing": [check for check in checks if not check.is_ok],
        "is_up": all(check.is_ok for check in checks),
        "work": {
            "jobs": sum(lane.jobs for lane in lanes),
            "running": sum(lane.running for lane in lanes),
            "waiting": sum(lane.waiting for lane in lanes),
        },
        "refused": {lane: shortage.reason for lane, shortage in find_shortages().items() if shortage},
        "lanes": [asdict(lane) | {"oldest": _age(lane.oldest_seconds)} for lane in lanes],
        "dead_today": count_dead_since(day_began_at, workspace_ids=workspace_ids),
        "cost_today": read_cost_of_day(day_began_at=day_began_at, now=now, workspace_ids=workspace_ids),
        "open_jobs": list_open_jobs(workspace_ids=workspace_ids),
        "recent_jobs": list_recent_jobs(workspace_ids=workspace_ids),
        "day": day_began_at.isoformat(),
    }


def _age(seconds: float | None) -> str:
    return "-" if seconds is None else str(timedelta(seconds=max(0, round(seconds))))
