"""Follow an item's answer from any process: the pieces that were told, those that come, and last what it came to."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from uuid import UUID

from apps.accounts.queries import find_live_keys
from apps.jobs.actions.await_item import reply_hub
from apps.jobs.actions.call_threads import in_thread
from apps.jobs.actions.read_chunks import read_chunks
from apps.jobs.actions.repeat_call import read_ended
from apps.jobs.actions.watch_jobs import KeyRefusedError
from apps.jobs.domain.call_answer import CallAnswer
from apps.jobs.domain.chunk import Chunk
from apps.jobs.models import Item
from apps.lib.redis_client import open_async_redis

_LOOK_SECONDS = 0.1
# So many looks in which nothing came.
_QUIET_LOOKS = 150
_KEY_LOOKS = 8
_GONE = CallAnswer(status=404, code="not_found", message="The item is gone, and its answer with it.")


async def follow_item(*, item_id: UUID, key_id: UUID, after: str = "") -> AsyncGenerator[Chunk | CallAnswer | None, None]:
    """The pieces behind the id `after`, None now and then when there are none, and last the answer or the failure in its place.

    An item that was deleted meanwhile is a failure. KeyRefusedError within a second after the key was revoked or has expired.
    """
    last, quiet, looks = after or "0-0", 0, 0
    async with AsyncExitStack() as stack:
        ended = stack.enter_context(reply_hub().expect(item_id))
        client = await stack.enter_async_context(open_async_redis())
        answer = await in_thread(read_ended, item_id)
        while True:
            # What is told before the end is read after it was seen.
            is_over = answer is not None or ended.done()
            looks += 1
            if is_over or looks % _KEY_LOOKS == 0:
                is_live, is_there = await in_thread(_look, key_id, item_id)
                if not is_live:
                    raise KeyRefusedError
                if not is_there:
                    yield _GONE
                    return
            chunks = await read_chunks(client, item_id, after=last)
            for chunk in chunks:
                last = chunk.id
                yield chunk
            if is_over:
                break
            quiet = 0 if chunks else quiet + 1
            if quiet and quiet % _QUIET_LOOKS == 0:
                yield None
            await asyncio.wait([ended], timeout=_LOOK_SECONDS)
        answer = answer or await in_thread(read_ended, item_id)
    yield answer or _GONE


def _look(key_id: UUID, item_id: UUID) -> tuple[bool, bool]:
    """Whether the key still opens the door, and whether the item is still there."""
    return bool(find_live_keys([key_id])), Item.objects.filter(id=item_id).exists()
