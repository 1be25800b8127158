"""Submit a single call: a job of one item, which the pump that stands ready takes at once."""

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from psycopg.types.json import Jsonb

from apps.accounts.actions import remember_result
from apps.conversations.actions import open_turn
from apps.conversations.domain.turns import TurnStart
from apps.jobs.actions.count_turns import count_turn
from apps.jobs.actions.repeat_call import Repeats
from apps.jobs.actions.require_room import require_room
from apps.jobs.actions.ring import ring
from apps.jobs.actions.submit_batch import require_first_model, require_price
from apps.jobs.domain.call_request import Caller, CallRequest
from apps.jobs.domain.lifecycle import Lane
from apps.lib.http_errors import ApiError
from apps.lib.ids import uuid7
from apps.lib.sql import server_cursor
from apps.providers.domain.policy import KEYS
from apps.providers.queries import find_callable
from apps.spend.actions import make_job_budget
from apps.traces.actions import store_bodies
from apps.traces.domain.bodies import make_body

# On top of the longest that a provider may take: the queue, and what the platform itself does.
GRACE_SECONDS = 30.0
# A caller does not wait as long as all steps with tools may take; what takes longer ends, is stored and charged.
_STEPS_WAITED_FOR = 3
# One statement where two rows saved one by one cost a seventh of the web process's time for a call.
_INSERT = """
WITH job AS (
    INSERT INTO jobs_job (id, workspace_id, api_key_id, kind, status, closes_as, lane, endpoint, model_name, feature, end_user,
                          max_cost_usd, on_budget, policy, first_model_name, total, created_at, started_at, expires_at)
    VALUES (%(job_id)s, %(workspace_id)s, %(api_key_id)s, 'single', 'running', 'completed', 'interactive', %(endpoint)s, '', %(feature)s,
            %(end_user)s, %(max_cost_usd)s, 'fail', %(policy)s, %(first_model_name)s, 1, %(now)s, %(now)s, %(expires_at)s)
    RETURNING id, workspace_id, lane, feature, end_user
)
INSERT INTO jobs_item (id, job_id, workspace_id, model_id, lane, position, custom_id, end_user, feature, request_body_id, reply_to, state,
                       prompt_version)
SELECT %(item_id)s, id, workspace_id, %(model_id)s, lane, 1, '', end_user, feature, %(body_id)s, %(reply_to)s, 'waiting',
       %(prompt_version)s FROM job
"""


def submit_call(*, item_id: UUID, reply_to: str, caller: Caller, request: CallRequest, repeats: Repeats | None, now: datetime) -> float:
    """Write the job and its item, and ring; returns how many seconds its caller should wait. ApiError 404 for an unknown model.

    A turn of a conversation is opened with it; TurnTakenError when another has been opened in its state, and nothing is written then.

    A call that came with an idempotency key is its key's answer from the same moment on.
    """
    model = find_callable(request.model)
    if model is None:
        message = f"The model `{request.model[:100]}` does not exist or you do not have access to it. GET /v1/models lists those that do."
        raise ApiError(404, "model_not_found", message, param="model")
    if model.is_paused:
        message = f"The model `{model.name}` is paused by the platform's operator; try again later."
        raise ApiError(503, "model_paused", message, param="model", headers={"Retry-After": "30"})
    require_room(Lane.INTERACTIVE)
    require_price(model.id, param="model")
    first_model_id = require_first_model(request.policy.first_model, param=KEYS["first_model"])
    wait_seconds = model.longest_timeout_seconds * (_STEPS_WAITED_FOR if request.has_tools else 1) + GRACE_SECONDS
    body = make_body(caller.workspace_id, request.body)
    job_id = uuid7()
    with transaction.atomic(), server_cursor() as cursor:
        if request.turn:
            _begin_turn(request.turn, item_id, now)
        if repeats and not repeats.once.is_guess:
            remember_result(repeats.once, result_id=item_id, in_place_of=repeats.in_vain, now=now)
        store_bodies([body])
        cursor.execute(
            _INSERT,
            {
                "job_id": job_id,
                "workspace_id": caller.workspace_id,
                "api_key_id": caller.api_key_id,
                "endpoint": request.endpoint,
                "feature": request.feature,
                "prompt_version": request.prompt_version,
                "end_user": request.end_user,
                "max_cost_usd": request.max_cost_usd,
                "policy": Jsonb(policy) if (policy := request.policy.as_json()) else None,
                "first_model_name": request.policy.first_model,
                "now": now,
                "expires_at": now + timedelta(seconds=wait_seconds),
                "item_id": item_id,
                "model_id": first_model_id or model.id,
                "body_id": body.id,
                "reply_to": reply_to,
            },
        )
        make_job_budget(workspace_id=caller.workspace_id, job_id=job_id, cap_usd=request.max_cost_usd)
        ring(lane=Lane.INTERACTIVE, job_id=job_id)
    return wait_seconds


def _begin_turn(start: TurnStart, item_id: UUID, now: datetime) -> None:
    open_turn(start, item_id=item_id, now=now)
    count_turn(start.resolution or "asked")
