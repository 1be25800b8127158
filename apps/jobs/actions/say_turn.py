"""Say something in a conversation: a turn is asked, and its answer begun, whole or as it comes."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import datetime
from uuid import UUID

from apps.conversations.domain.turns import TurnTakenError
from apps.jobs.actions.ask_turn import ask_turn
from apps.jobs.actions.begin_call import BegunStream, Piece, begin_call
from apps.jobs.actions.prepare_turn import TurnAsk
from apps.jobs.actions.repeat_call import Repeats
from apps.jobs.actions.stream_call import ends_soon
from apps.jobs.domain.call_answer import CallAnswer
from apps.jobs.domain.call_request import CallRefusedError, CallRequest
from apps.jobs.domain.streamed_answer import StreamedAnswer
from apps.lib.http_errors import ApiError

_Said = tuple[CallRequest, CallAnswer | BegunStream]


async def say_turn(
    ask: TurnAsk, *, item_id: UUID, told: StreamedAnswer | None, repeats: Repeats | None = None, clock: Callable[[], datetime]
) -> tuple[CallRequest | None, CallAnswer | BegunStream]:
    """The turn as it was asked in the end, and what it began; `told` as of `begin_call`.

    A stream that waits for the turns before it begins after 15 s, with pieces that are None, so that nobody on the way takes it for dead.
    How the turn is asked is not known then (None), and a refusal is the last piece. Before that: ApiError and CallRefusedError.
    One that has been sent begins by itself, at most 15 s later, and then it is known.
    """
    is_sent = False

    async def send(call: CallRequest) -> CallAnswer | BegunStream:
        nonlocal is_sent
        is_sent = True
        try:
            return await begin_call(item_id=item_id, caller=ask.caller, request=call, told=told, repeats=repeats, now=clock())
        except TurnTakenError:
            # It is asked in another state, and stands in line for that.
            is_sent = False
            raise

    asking: asyncio.Task[_Said] = asyncio.create_task(ask_turn(ask, send=send, clock=clock))
    try:
        while not await ends_soon(asking):
            if told and not is_sent:
                return None, BegunStream(None, _waited_for(asking))
    except asyncio.CancelledError:
        asking.cancel()
        raise
    return asking.result()


async def _waited_for(asking: "asyncio.Task[_Said]") -> AsyncGenerator[Piece, None]:
    try:
        while not await ends_soon(asking):
            yield None
        try:
            _, begun = asking.result()
        except ApiError as refused:
            begun = CallAnswer(status=refused.status, code=refused.code, message=refused.message)
        except CallRefusedError as refused:
            begun = CallAnswer(status=400, code=refused.code, message=refused.message)
        if isinstance(begun, CallAnswer):
            yield begun
            return
        async with aclosing(begun.rest) as rest:
            yield begun.first
            async for piece in rest:
                yield piece
    finally:
        # Whoever stops reading while it waits has left.
        asking.cancel()
