"""Ask a turn: prepared in a state, sent unless another one was begun there meanwhile, and then prepared anew."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

from apps.conversations.domain.turns import TurnTakenError
from apps.jobs.actions.await_item import reply_hub
from apps.jobs.actions.call_threads import in_long_thread
from apps.jobs.actions.prepare_turn import MOVED, WAITED, Busy, TurnAsk, prepare_turn
from apps.jobs.domain.call_request import CallRequest
from apps.lib.http_errors import ApiError

# How long a turn waits for those before it: as long as one of them may take.
_PATIENCE_SECONDS = 900.0
_LOOK_SECONDS = 30.0
T = TypeVar("T")


async def ask_turn(ask: TurnAsk, *, send: Callable[[CallRequest], Awaitable[T]], clock: Callable[[], datetime]) -> tuple[CallRequest, T]:
    """The request that was sent, and what `send` brought. ApiError and CallRefusedError as of the preparation and the sending.

    ApiError 409 `conversation_busy` when the turns before it took too long; nothing was asked then.
    """
    loop = asyncio.get_running_loop()
    given_up_at, resolution = loop.time() + _PATIENCE_SECONDS, ""
    while loop.time() < given_up_at:
        prepared = await in_long_thread(prepare_turn, ask, resolution=resolution, now=clock())
        if isinstance(prepared, Busy):
            resolution = WAITED
            await _ended(prepared)
            continue
        try:
            return prepared, await send(prepared)
        except TurnTakenError:
            # Nothing was written: whoever came first has the state, and what this one read there is what that one read.
            resolution = resolution or MOVED
    message = "The turns before this one have not ended in time. It was not asked and costs nothing: try again."
    raise ApiError(409, "conversation_busy", message, headers={"Retry-After": "30"})


async def _ended(busy: Busy) -> None:
    """Or after a while: what is known of it may be no more true."""
    with reply_hub().expect(busy.item_id) as ended:
        await asyncio.wait([ended], timeout=_LOOK_SECONDS)
