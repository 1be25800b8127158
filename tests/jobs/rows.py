"""Rows of work for the engine's tests: a workspace, jobs and items, made as the intake makes them."""

from collections.abc import Sequence
from uuid import UUID

import orjson
from django.utils import timezone

from apps.accounts.models import Workspace
from apps.jobs.domain.lifecycle import JobStatus
from apps.jobs.models import Item, Job
from apps.lib.ids import uuid7
from apps.traces.actions import store_bodies
from apps.traces.domain.bodies import make_body


def make_workspace(name: str = "acme") -> Workspace:
    return Workspace.objects.get_or_create(name=name)[0]


def make_job(
    *,
    workspace: Workspace | None = None,
    prompts: Sequence[str] = ("one",),
    model_id: UUID | None = None,
    model: str = "small",
    lane: str = "default",
    kind: str = "batch",
    **values: object,
) -> Job:
    """A running job with one waiting item for each prompt."""
    workspace = workspace or make_workspace()
    job = Job.objects.create(
        workspace=workspace,
        kind=kind,
        lane=lane,
        endpoint="/v1/chat/completions",
        **{"status": JobStatus.RUNNING, "total": len(prompts), "started_at": timezone.now()} | values,
    )
    bodies = [
        make_body(workspace.id, orjson.dumps({"model": model, "messages": [{"role": "user", "content": prompt}]})) for prompt in prompts
    ]
    store_bodies(bodies)
    Item.objects.bulk_create(
        Item(
            id=uuid7(),
            job=job,
            workspace=workspace,
            model_id=model_id or uuid7(),
            lane=lane,
            position=position,
            custom_id=f"line-{position}",
            request_body_id=body.id,
        )
        for position, body in enumerate(bodies, start=1)
    )
    return job
