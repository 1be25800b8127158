"""Keep in Redis which calls have not been heard yet: from their admission until their callers have the answer, or have left.

Only of calls that may come again without an idempotency key, as OpenAI's packages send them. What a killed process had asked stays there
for a quarter of an hour. Nothing hangs on it: without Redis such a call is asked again.
"""

import re
from collections.abc import Iterable, Sequence
from uuid import UUID

import redis
import structlog

from apps.accounts.domain.idempotency import RETRY_WITHIN, Once
from apps.lib.redis_client import figures_pipeline

log = structlog.get_logger(__name__)

_KEY = "aiplatform:unheard:{workspace}:{route}:{content}"
_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


def enter_unheard(once: Once, item_id: UUID) -> tuple[str, list[UUID]]:
    """(where it stands now, the items of the same calls that stand there already); an empty name and none when Redis is away."""
    key = _KEY.format(workspace=once.workspace_id.hex, route=once.route, content=once.key)
    try:
        with figures_pipeline() as pipeline:
            pipeline.smembers(key)
            pipeline.sadd(key, item_id.hex)
            pipeline.expire(key, RETRY_WITHIN)
            members = pipeline.execute()[0]
    except redis.RedisError as error:
        log.warning("unheard_calls_not_kept", error=str(error))
        return "", []
    # What is no id was written by somebody else.
    return key, [UUID(member) for member in members if _ID.fullmatch(member)]


def forget_heard(heard: Sequence[tuple[str, UUID]]) -> None:
    """Pairs of where an item stands, and the item."""
    try:
        with figures_pipeline() as pipeline:
            for key, item_id in heard:
                pipeline.srem(key, item_id.hex)
    except redis.RedisError as error:
        log.warning("heard_calls_not_forgotten", calls=len(heard), error=str(error))


def find_gone(channels: Iterable[str]) -> set[str]:
    """Those on which nobody listens: a web process listens as long as it lives. None when Redis is away: then nobody knows."""
    try:
        with figures_pipeline() as pipeline:
            pipeline.pubsub_numsub(*channels)
            listening = pipeline.execute()[0]
    except redis.RedisError as error:
        log.warning("unheard_calls_not_kept", error=str(error))
        return set()
    return {channel for channel, listeners in listening if not listeners}
