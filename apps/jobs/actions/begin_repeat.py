"""Begin the answer of a call that was sent before, for whoever reads it whole, and for whoever reads it as a stream."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import datetime
from uuid import UUID

from apps.jobs.actions.begin_call import BegunStream, Piece
from apps.jobs.actions.repeat_call import Repeats, repeat_call
from apps.jobs.actions.stream_call import ends_soon
from apps.jobs.domain.call_answer import CallAnswer


async def begin_repeat(
    *, item_id: UUID, wait_seconds: float, is_streamed: bool, taken_over: Repeats | None = None, now: datetime
) -> CallAnswer | BegunStream:
    """As `repeat_call`; a stream begins after 15 s, whatever has come, so that nobody on the way takes it for dead.

    Its answer comes in one piece.
    """
    if not is_streamed:
        return await repeat_call(item_id=item_id, wait_seconds=wait_seconds, taken_over=taken_over, now=now)
    asking = asyncio.create_task(repeat_call(item_id=item_id, wait_seconds=wait_seconds, taken_over=taken_over, now=now))
    try:
        if await ends_soon(asking):
            return asking.result()
    except asyncio.CancelledError:
        asking.cancel()
        raise
    return BegunStream(None, _waited_for(asking))


async def _waited_for(asking: "asyncio.Task[CallAnswer]") -> AsyncGenerator[Piece, None]:
    try:
        while not await ends_soon(asking):
            yield None
        yield asking.result()
    finally:
        # Whoever stops reading has left.
        asking.cancel()
