"""The home page of the back office: is it up, what runs, what waits, what died, what it cost today."""

from datetime import datetime
from typing import Any
from uuid import UUID

from apps.jobs.queries import list_recent_jobs, sum_open_work
from apps.ops.queries.health import check_readiness
from apps.spend.queries import sum_cost_since


def read_dashboard(*, workspace_ids: list[UUID] | None, day_began_at: datetime) -> dict[str, Any]:
    """Everything the page shows; of these workspaces, or of all when None."""
    checks = check_readiness()
    return {
        "failing": [check for check in checks if not check.is_ok],
        "is_up": all(check.is_ok for check in checks),
        "work": sum_open_work(workspace_ids=workspace_ids),
        "cost_today": sum_cost_since(day_began_at, workspace_ids=workspace_ids),
        "recent_jobs": list_recent_jobs(workspace_ids=workspace_ids),
    }
