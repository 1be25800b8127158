"""Discard dead items: somebody has decided that they stay dead. They leave the desk; their record and their error lines stay."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.jobs.actions.go_on_without import go_on_without
from apps.jobs.actions.record_change import record_change
from apps.jobs.actions.requeue_dead import select_dead
from apps.jobs.domain.dead_items import Selection
from apps.jobs.models import Job
from apps.lib.http_errors import ApiError


def discard_dead(selection: Selection, *, workspace_ids: Sequence[UUID] | None, now: datetime, reason: str) -> int:
    """How many were discarded; ApiError 400 without a reason. One entry in the audit log for each job that they belong to."""
    if not reason:
        raise ApiError(400, "missing_required_parameter", "Say why: it stands in the audit log.", param="reason")
    with transaction.atomic():
        rows = select_dead(selection, workspace_ids=workspace_ids)
        ids = list(rows.order_by().values_list("job_id", flat=True).distinct())
        jobs = list(Job.objects.select_for_update(no_key=True, of=("self",)).select_related("recipe").filter(id__in=ids).order_by("id"))
        counts = {job.id: rows.filter(job_id=job.id).update(discarded_at=now) for job in jobs}
        for job in jobs:
            record_change(job, "discarded", after={"items": counts[job.id], "fingerprint": selection.fingerprint}, reason=reason)
            go_on_without(job, now=now)
    return sum(counts.values())
