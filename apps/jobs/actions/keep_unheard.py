"""Keep in Redis which calls have not been heard yet: from their admission until their callers have the answer, or have left.

Only of calls that may come again without an idempotency key, as OpenAI's packages send them: by what is asked, each item with the channel
of the process whose caller waits for it. What a killed process had asked stays there for a quarter of an hour. Nothing hangs on it:
without Redis such a call is asked again.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import redis
import structlog

from apps.accounts.domain.idempotency import RETRY_WITHIN, Once
from apps.lib.ids import first_uuid7
from apps.lib.redis_client import figures_pipeline

log = structlog.get_logger(__name__)

_KEY = "aiplatform:unheard:{workspace}:{route}:{content}"
_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


def enter_unheard(once: Once, item_id: UUID, channel: str, *, now: datetime) -> tuple[str, dict[str, list[UUID]]]:
    """(where it stands now, the items of the same calls that stand there already by their channels); none when Redis is away."""
    key = _KEY.format(workspace=once.workspace_id.hex, route=once.route, content=once.key)
    try:
        with figures_pipeline() as pipeline:
            pipeline.hgetall(key)
            pipeline.hset(key, item_id.hex, channel)
            pipeline.expire(key, RETRY_WITHIN)
            stood = pipeline.execute()[0]
            # What is no id was written by somebody else; what is too old would be kept alive by whoever asks it all the time.
            oldest = first_uuid7(now - RETRY_WITHIN).hex
            if stale := [name for name in stood if not _ID.fullmatch(name) or name < oldest]:
                pipeline.hdel(key, *stale)
    except redis.RedisError as error:
        log.warning("unheard_calls_not_kept", error=str(error))
        return key, {}
    return key, _by_channel({name: stood[name] for name in stood.keys() - stale})


def _by_channel(stood: Mapping[str, str]) -> dict[str, list[UUID]]:
    items = defaultdict(list)
    for name, channel in stood.items():
        items[channel].append(UUID(name))
    return dict(items)


def move_unheard(key: str, *, heard: UUID, unheard: UUID, channel: str) -> None:
    """A caller on this channel waits for another item than its own."""
    try:
        with figures_pipeline() as pipeline:
            pipeline.hset(key, unheard.hex, channel)
            pipeline.hdel(key, heard.hex)
    except redis.RedisError as error:
        log.warning("unheard_calls_not_kept", error=str(error))


def forget_heard(heard: Sequence[tuple[str, UUID]]) -> bool:
    """Pairs of where an item stands, and the item; False when Redis is away, and they still stand there."""
    try:
        with figures_pipeline() as pipeline:
            for key, item_id in heard:
                pipeline.hdel(key, item_id.hex)
    except redis.RedisError as error:
        log.warning("heard_calls_not_forgotten", calls=len(heard), error=str(error))
        return False
    return True


def find_gone(channels: Iterable[str]) -> set[str]:
    """Those on which nobody listens at this moment. None when Redis is away: then nobody knows."""
    try:
        with figures_pipeline() as pipeline:
            pipeline.pubsub_numsub(*channels)
            listening = pipeline.execute()[0]
    except redis.RedisError as error:
        log.warning("unheard_calls_not_kept", error=str(error))
        return set()
    return {channel for channel, listeners in listening if not listeners}
