"""Stream a single call: submit it, hand on the pieces of its answer as they come, and see that the whole of it arrives.

The pieces are news, the settled answer is the truth: what was lost on the way is made up for from there at the end.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.jobs.actions.await_item import reply_hub
from apps.jobs.actions.call_submission import begin_submission, end_call, leave
from apps.jobs.actions.call_threads import in_thread
from apps.jobs.actions.read_chunks import read_chunks
from apps.jobs.actions.repeat_call import Repeats
from apps.jobs.domain.call_answer import CallAnswer
from apps.jobs.domain.call_request import Caller, CallRequest
from apps.jobs.domain.chunk import Chunk
from apps.jobs.domain.streamed_answer import StreamedAnswer
from apps.lib.redis_client import open_async_redis

HEARTBEAT_SECONDS = 15.0


async def ends_soon(task: "asyncio.Task[Any]") -> bool:
    """Within 15 s; if not, whoever waits for it is sent a sign of life."""
    return bool((await asyncio.wait([task], timeout=HEARTBEAT_SECONDS))[0])


async def stream_call(
    *, item_id: UUID, caller: Caller, request: CallRequest, told: StreamedAnswer, repeats: Repeats | None = None, now: datetime
) -> AsyncGenerator[Chunk | CallAnswer | None, None]:
    """Pieces of the answer, None after 15 s without one, and last the answer, or the failure in its place. ApiError when it is refused.

    Whoever stops reading leaves a call alone that has been sent: it ends, is stored and charged. One that wasn't is cancelled.
    """
    hub, loop = reply_hub(), asyncio.get_running_loop()
    with (
        hub.expect(item_id) as ended,
        hub.read(item_id) as arriving,
        hub.unheard(item_id, repeats.unheard_in if repeats else ""),
    ):
        # The end stands in line behind the pieces that were told before it.
        ended.add_done_callback(lambda _: arriving.put_nowait(None))
        submission = begin_submission(hub, item_id=item_id, caller=caller, request=request, repeats=repeats, now=now)
        try:
            given_up_at = loop.time() + await asyncio.wrap_future(submission.waiting)
            while (seconds := given_up_at - loop.time()) > 0:
                is_quiet, chunk = True, None
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(seconds, HEARTBEAT_SECONDS)):
                        chunk = await arriving.get()
                        is_quiet = False
                if is_quiet:
                    yield None
                elif chunk is None:
                    break
                else:
                    for piece in await _in_order(item_id, chunk, told):
                        yield piece
            if told.has_begun and not told.is_complete:
                for piece in await _missed(item_id, told):
                    yield piece
            answer = await in_thread(end_call, item_id, request)
        except (asyncio.CancelledError, GeneratorExit):
            leave(submission)
            raise
    yield answer


async def _in_order(item_id: UUID, chunk: Chunk, told: StreamedAnswer) -> list[Chunk]:
    """The piece; before it those that were lost on their way; nothing for one of another run, or one that is known."""
    missed = await _missed(item_id, told) if told.is_ahead(chunk) else []
    return [*missed, *_taken([chunk], told)]


async def _missed(item_id: UUID, told: StreamedAnswer) -> list[Chunk]:
    async with open_async_redis() as client:
        return _taken(await read_chunks(client, item_id, after=told.last_id), told)


def _taken(chunks: list[Chunk], told: StreamedAnswer) -> list[Chunk]:
    return [chunk for chunk in chunks if told.take(chunk)]
