"""Write down in the audit log what somebody did to a job."""

from collections.abc import Mapping
from typing import Any

from apps.accounts.actions import record_audit
from apps.jobs.models import Job


def record_change(
    job: Job, verb: str, *, before: Mapping[str, Any] | None = None, after: Mapping[str, Any] | None = None, reason: str = ""
) -> None:
    """Inside the transaction of the change."""
    record_audit(
        verb=verb,
        object_type="job",
        object_id=job.id,
        object_label=job.public_id,
        workspace_id=job.workspace_id,
        before=before,
        after=after,
        reason=reason,
    )
