"""Take over a call whose web process is gone: the same call that comes next gets its answer, instead of being asked and paid for again.

What Redis names is looked for in Postgres, and must be the very same call of the same API key.
"""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from psycopg.types.json import Jsonb

from apps.accounts.domain.idempotency import RETRY_WITHIN
from apps.jobs.actions.keep_unheard import enter_unheard, find_gone, forget_heard
from apps.jobs.actions.repeat_call import Repeats
from apps.jobs.domain.call_request import Caller, CallRequest
from apps.lib.sql import server_cursor
from apps.traces.domain.bodies import make_body

# All that tells two calls apart: whoever reaches Redis can name any item.
_FIND = """
SELECT item.id, item.reply_to, job.expires_at
FROM jobs_item AS item JOIN jobs_job AS job ON job.id = item.job_id
WHERE item.id = ANY(%(ids)b::uuid[]) AND item.workspace_id = %(workspace_id)b AND item.request_body_id = %(body_id)b
  AND item.state IN ('waiting', 'running', 'done') AND item.reply_to <> '' AND item.prompt_version = %(prompt_version)b
  AND job.kind = 'single' AND job.api_key_id = %(api_key_id)b AND job.endpoint = %(endpoint)b AND job.feature = %(feature)b
  AND job.max_cost_usd IS NOT DISTINCT FROM %(max_cost_usd)b AND job.policy IS NOT DISTINCT FROM %(policy)b
  AND job.first_model_name = %(first_model_name)b AND job.created_at > %(since)b
ORDER BY item.id
"""
# Fenced by the process that is gone: of two that come for it one takes it.
_TAKE = "UPDATE jobs_item SET reply_to = %b WHERE id = %b AND reply_to = %b AND state IN ('waiting', 'running', 'done')"


def take_over_call(repeats: Repeats, *, item_id: UUID, caller: Caller, request: CallRequest, channel: str, now: datetime) -> Repeats:
    """The call that answers this one, or `repeats` as it came; either way marked as unheard, until `repeats.unheard_in` forgets it.

    `channel` is what the callers of this process are told on.
    """
    key, others = enter_unheard(repeats.once, item_id)
    repeats = replace(repeats, unheard_in=key)
    found = _find(others, caller, request, now) if others else []
    gone = find_gone({left for _, left, _ in found}) if found else set()
    for found_id, left, expires_at in found:
        if left in gone and _take(found_id, left, channel):
            forget_heard([(key, item_id)])
            return replace(repeats, item_id=found_id, wait_seconds=max(1.0, (expires_at - now).total_seconds()))
    return repeats


def _find(ids: list[UUID], caller: Caller, request: CallRequest, now: datetime) -> list[tuple[UUID, str, datetime]]:
    with server_cursor() as cursor:
        cursor.execute(
            _FIND,
            {
                "ids": ids,
                "workspace_id": caller.workspace_id,
                "body_id": make_body(caller.workspace_id, request.body).id,
                "prompt_version": request.prompt_version,
                "api_key_id": caller.api_key_id,
                "endpoint": request.endpoint,
                "feature": request.feature,
                "max_cost_usd": request.max_cost_usd,
                "policy": Jsonb(policy) if (policy := request.policy.as_json()) else None,
                "first_model_name": request.policy.first_model,
                "since": now - RETRY_WITHIN,
            },
        )
        return cursor.fetchall()


def _take(item_id: UUID, left: str, channel: str) -> bool:
    with server_cursor() as cursor:
        cursor.execute(_TAKE, (channel, item_id, left))
        return cursor.rowcount == 1
