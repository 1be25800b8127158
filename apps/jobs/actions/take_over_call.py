"""Take over a call whose web process is gone: the same call that comes next gets its answer, instead of being asked and paid for again.

What Redis names is looked for in Postgres, and must be the very same call of the same API key.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from uuid import UUID

from psycopg.types.json import Jsonb

from apps.accounts.domain.idempotency import RETRY_WITHIN
from apps.jobs.actions.await_item import ReplyHub, reply_hub
from apps.jobs.actions.call_threads import in_thread
from apps.jobs.actions.keep_unheard import enter_unheard, find_gone, move_unheard
from apps.jobs.actions.repeat_call import Repeats
from apps.jobs.domain.call_request import Caller, CallRequest
from apps.lib.sql import server_cursor
from apps.traces.domain.bodies import make_body

# A process that lives listens again this soon after Redis was restarted, or its connection lost; a new one begins to listen sooner.
_make_sure = partial(asyncio.sleep, 3.0)
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


@dataclass(frozen=True, slots=True)
class LeftCall:
    """The same call, asked by a process that seems to be gone: its callers were told on `channel`."""

    item_id: UUID
    channel: str
    expires_at: datetime


def find_left(
    repeats: Repeats, *, item_id: UUID, caller: Caller, request: CallRequest, channel: str, now: datetime
) -> tuple[Repeats, Sequence[LeftCall]]:
    """`repeats` marked as unheard, until `unheard_in` forgets it, and what it may take over.

    `channel` is what the callers of this process are told on. Only of calls that seem to be left Postgres is asked.
    """
    key, standing = enter_unheard(repeats.once, item_id, channel, now=now)
    repeats = replace(repeats, unheard_in=key)
    others = standing.keys() - {channel}
    ids = [found for gone in sorted(find_gone(others)) for found in standing[gone]] if others else []
    return repeats, _still_gone(_find(ids, caller, request, now), channel) if ids else []


async def take_over_call(repeats: Repeats, left: Sequence[LeftCall], *, item_id: UUID, now: datetime) -> Repeats:
    """The call that answers this one, or `repeats` as it came. Some seconds pass: whoever lives is listening by then."""
    hub = reply_hub()
    try:
        await _make_sure()
    except asyncio.CancelledError:
        hub.forget(item_id, repeats.unheard_in)
        raise
    taken = await in_thread(_take_first, hub, left)
    if taken is None:
        return repeats
    await in_thread(move_unheard, repeats.unheard_in, heard=item_id, unheard=taken.item_id, channel=hub.channel)
    return replace(repeats, item_id=taken.item_id, wait_seconds=max(1.0, (taken.expires_at - now).total_seconds()))


def _take_first(hub: ReplyHub, left: Sequence[LeftCall]) -> LeftCall | None:
    return next((call for call in _still_gone(left, hub.channel) if _take(call, hub.channel)), None)


def _still_gone(left: Sequence[LeftCall], own_channel: str) -> list[LeftCall]:
    """Without those of this process, which lives, whether it is heard of in Redis or not."""
    others = {call.channel for call in left} - {own_channel}
    gone = find_gone(others) if others else set()
    return [call for call in left if call.channel in gone]


def _find(ids: list[UUID], caller: Caller, request: CallRequest, now: datetime) -> list[LeftCall]:
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
        return [LeftCall(*row) for row in cursor.fetchall()]


def _take(call: LeftCall, channel: str) -> bool:
    with server_cursor() as cursor:
        cursor.execute(_TAKE, (channel, call.item_id, call.channel))
        return cursor.rowcount == 1
