"""Ask a turn: prepared in a state, sent unless another one was begun there meanwhile, and then prepared anew.

No thread is held while it waits: neither for the turns before it, nor for a provider that makes its question's vector.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import structlog
from structlog.contextvars import bound_contextvars

from apps.conversations.domain.turns import TurnTakenError
from apps.jobs.actions.await_item import reply_hub
from apps.jobs.actions.call_threads import in_long_thread
from apps.jobs.actions.count_turns import count_turn
from apps.jobs.actions.prepare_turn import MOVED, WAITED, Busy, TurnAsk, prepare_turn
from apps.jobs.actions.search_documents import Embedded, UnembeddedError, embed_question
from apps.jobs.actions.turn_line import turn_line
from apps.jobs.domain.call_request import CallRequest
from apps.lib.http_errors import ApiError

log = structlog.get_logger(__name__)

# How long a turn waits for those before it: as long as one of them may take.
_PATIENCE_SECONDS = 900.0
_LOOK_SECONDS = 30.0
T = TypeVar("T")


@dataclass(slots=True)
class _Way:
    """How far a turn has come: what had to be settled on the way, its question's vector, and whether it is at the head of the line."""

    resolution: str = ""
    embedded: Embedded | None = None
    is_first: bool = False


async def ask_turn(ask: TurnAsk, *, send: Callable[[CallRequest], Awaitable[T]], clock: Callable[[], datetime]) -> tuple[CallRequest, T]:
    """The request that was sent, and what `send` brought. ApiError and CallRefusedError as of the preparation and the sending.

    Those that wait are asked in the order in which they came. ApiError 409 `conversation_busy` when the turns before it took too long;
    nothing was asked then.
    """
    loop, line, way = asyncio.get_running_loop(), turn_line(), _Way()
    ticket, given_up_at = next(line.tickets), loop.time() + _PATIENCE_SECONDS
    async with AsyncExitStack() as place:
        while loop.time() < given_up_at:
            prepared = await _prepare(ask, way, clock, is_behind=not way.is_first and line.has_some(ask.conversation_id))
            if isinstance(prepared, Busy):
                way.resolution = WAITED
                if way.is_first:
                    await _ended(prepared.item_id)
                    continue
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(given_up_at):
                        await place.enter_async_context(line.head(ask.conversation_id, ticket))
                    way.is_first = True
                continue
            try:
                with _told_to_log(prepared):
                    return prepared, await send(prepared)
            except TurnTakenError:
                # Nothing was written: whoever came first has the state, and what this one read there is what that one read.
                way.resolution = way.resolution or MOVED
    await in_long_thread(count_turn, "busy")
    message = "The turns before this one have not ended in time. It was not asked and costs nothing: try again."
    raise ApiError(409, "conversation_busy", message, headers={"Retry-After": "30"})


async def _prepare(ask: TurnAsk, way: _Way, clock: Callable[[], datetime], *, is_behind: bool) -> CallRequest | Busy:
    while True:
        try:
            return await in_long_thread(prepare_turn, ask, resolution=way.resolution, embedded=way.embedded, is_behind=is_behind)
        except UnembeddedError as unembedded:
            way.embedded = await embed_question(ask.caller, unembedded.call, now=clock())


@contextmanager
def _told_to_log(call: CallRequest) -> Iterator[None]:
    """In which state it is asked, and from which snapshot; the ids stand in all lines until it has begun."""
    start = call.turn
    if start is None:
        msg = "What is asked in a conversation is a turn of it."
        raise ValueError(msg)
    with bound_contextvars(conversation_id=str(start.in_conversation_id), state=start.state.token):
        log.info("turn_composed", snapshot_id=start.snapshot_id or None, resolution=start.resolution or None)
        yield


async def _ended(item_id: UUID | None) -> None:
    """Or after a while: what is known of it may be no more true."""
    if item_id is None:
        return
    with reply_hub().expect(item_id) as ended:
        await asyncio.wait([ended], timeout=_LOOK_SECONDS)
