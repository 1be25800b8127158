"""What the page of spend asks of jobs: their names, and which items cost most."""

from collections.abc import Collection, Sequence
from uuid import UUID

from apps.jobs.models import Item, Job

MOST_SORTED = 20_000


def find_jobs(ids: Collection[UUID], *, workspace_ids: Sequence[UUID] | None) -> dict[UUID, Job]:
    """Of these jobs those of these workspaces (None: of all), with what they are named by."""
    rows = Job.objects.filter(id__in=ids).select_related("input_file", "table_file", "recipe")
    return {job.id: job for job in (rows if workspace_ids is None else rows.filter(workspace_id__in=workspace_ids))}


def list_dearest_items(job: Job, *, limit: int) -> list[Item]:
    """A job's items by what they cost, the dearest first; none of a job with more than 20,000, all of which would have to be read."""
    if job.total > MOST_SORTED:
        return []
    return list(Item.objects.filter(job_id=job.id, cost_usd__gt=0).order_by("-cost_usd", "id")[:limit])
