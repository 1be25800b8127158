"""Submit a single call: a job of one item, which the pump that stands ready takes at once."""

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from apps.jobs.actions.ring import ring
from apps.jobs.domain.call_request import CallRequest
from apps.jobs.domain.lifecycle import JobStatus, Lane
from apps.jobs.models import Item, Job
from apps.lib.http_errors import ApiError
from apps.providers.queries import find_callable
from apps.traces.actions import store_bodies
from apps.traces.domain.bodies import make_body

# On top of the longest that a provider may take: the queue, and what the platform itself does.
GRACE_SECONDS = 30.0


def submit_call(*, item_id: UUID, reply_to: str, workspace_id: UUID, api_key_id: UUID, request: CallRequest, now: datetime) -> float:
    """Write the job and its item, and ring; returns how many seconds its caller should wait. ApiError 404 for an unknown model."""
    model = find_callable(request.model)
    if model is None:
        message = f"The model `{request.model[:100]}` does not exist or you do not have access to it. GET /v1/models lists those that do."
        raise ApiError(404, "model_not_found", message, param="model")
    wait_seconds = model.longest_timeout_seconds + GRACE_SECONDS
    body = make_body(workspace_id, request.body)
    job = Job(
        workspace_id=workspace_id,
        api_key_id=api_key_id,
        kind="single",
        status=JobStatus.RUNNING,
        lane=Lane.INTERACTIVE,
        endpoint=request.endpoint,
        feature=request.feature,
        end_user=request.end_user,
        max_cost_usd=request.max_cost_usd,
        on_budget="fail",
        total=1,
        created_at=now,
        started_at=now,
        expires_at=now + timedelta(seconds=wait_seconds),
    )
    item = Item(
        id=item_id,
        job=job,
        workspace_id=workspace_id,
        model_id=model.id,
        lane=Lane.INTERACTIVE,
        position=1,
        custom_id="",
        end_user=request.end_user,
        feature=request.feature,
        request_body_id=body.id,
        reply_to=reply_to,
    )
    with transaction.atomic():
        job.save(force_insert=True)
        store_bodies([body])
        item.save(force_insert=True)
        ring(lane=Lane.INTERACTIVE, job_id=job.id)
    return wait_seconds
