"""`/api/conversations/{id}/turns`: say something, and be answered: whole, or as it comes."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from functools import partial
from uuid import UUID

import orjson
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from apps.accounts.actions import authenticate_key
from apps.accounts.domain import idempotency
from apps.accounts.permissions import require_scope
from apps.conversations.queries.turns import find_conversation, find_turn_of_item
from apps.jobs import actions
from apps.jobs.actions.call_threads import in_thread
from apps.jobs.actions.prepare_turn import TurnAsk
from apps.jobs.actions.repeat_call import Repeats
from apps.jobs.domain.call_answer import CallAnswer, in_words
from apps.jobs.domain.call_request import Caller, read_object
from apps.jobs.domain.stream_wish import stream_wish
from apps.jobs.domain.streamed_answer import StreamedAnswer
from apps.jobs.domain.turn_request import read_native_turn
from apps.jobs.models import ITEM_PREFIX
from apps.jobs.serializers.conversations import present_turns
from apps.jobs.views.calls import ITEM_HEADER, failure_of, find_repeated, headers_of_turn, refusing_calls, say
from apps.jobs.views.streams import answered_lines, written
from apps.lib.clock import current_time
from apps.lib.http_errors import GIVE_UP, ApiError
from apps.lib.ids import public_id, uuid7
from apps.lib.sse import write_event
from apps.lib.streaming import stream_events


@csrf_exempt
async def turns(request: HttpRequest, conversation_id: str) -> HttpResponseBase:
    """Say something in a conversation, and be answered."""
    if request.method != "POST":
        message = f"Turns are made by POST, not {request.method}; GET /api/conversations/{{id}}/history lists them."
        raise ApiError(405, "method_not_allowed", message, headers={"Allow": "POST"})
    ask, repeats = await in_thread(_admit, request, conversation_id)
    is_streamed, told = stream_wish(ask.request.rest).is_streamed, StreamedAnswer(is_usage_told=False)
    if repeats and repeats.item_id:
        item_id = repeats.item_id
        begun = await actions.begin_repeat(item_id=item_id, wait_seconds=repeats.wait_seconds, is_streamed=is_streamed, now=current_time())
        headers = {idempotency.REPLAYED_HEADER: "true", **await in_thread(headers_of_turn, item_id)}
    else:
        item_id = uuid7()
        headers, begun = await say(ask, item_id, told if is_streamed else None, repeats)
    if isinstance(begun, CallAnswer):
        return await _whole(item_id, begun, headers, is_streamed=is_streamed)
    headers[ITEM_HEADER] = public_id(ITEM_PREFIX, item_id)
    return stream_events(_with_turn(begun.written(partial(written, told=told)), item_id), headers)


def _admit(request: HttpRequest, conversation_id: str) -> tuple[TurnAsk, Repeats | None]:
    key = authenticate_key(request.headers.get("Authorization"), now=current_time(), address=request.META.get("REMOTE_ADDR", ""))
    require_scope(key, "chat")
    caller = Caller(workspace_id=key.workspace_id, api_key_id=key.id)
    conversation = find_conversation(workspace_id=key.workspace_id, conversation_id=conversation_id)
    repeats = find_repeated(request, f"/api/conversations/{conversation.public_id}/turns", key.workspace_id, key.id)
    with refusing_calls():
        wanted = read_native_turn(read_object(request.body))
    if isinstance(repeats, ApiError):
        raise repeats
    return actions.turn_ask(caller, conversation.id, wanted, headers=request.headers), repeats


async def _whole(item_id: UUID, answer: CallAnswer, headers: dict[str, str], *, is_streamed: bool) -> HttpResponseBase:
    headers = {ITEM_HEADER: public_id(ITEM_PREFIX, item_id), **headers}
    if answer.content is None or answer.status != 200:
        raise failure_of(in_words(answer), headers if answer.should_retry else headers | GIVE_UP)
    if is_streamed:
        return stream_events(_with_turn(answered_lines(answer, StreamedAnswer(is_usage_told=False)), item_id), headers)
    turn = await in_thread(_turn, item_id)
    if turn is None:
        raise ApiError(404, "not_found", "The conversation is not there any more.")
    return HttpResponse(turn, content_type="application/json", headers=headers)


async def _with_turn(lines: AsyncGenerator[bytes, None], item_id: UUID) -> AsyncIterator[bytes]:
    """The chunks of the answer; last an event `turn` that tells what came of it, unless it was never asked, or is deleted."""
    async with aclosing(lines):
        async for line in lines:
            yield line
    if turn := await in_thread(_turn, item_id):
        yield write_event(turn, name="turn")


def _turn(item_id: UUID) -> bytes | None:
    """As JSON, with the passages that it cites; closed, whoever waited for it first. None when there is no turn of that item."""
    actions.close_turns(item_id=item_id)
    turn = find_turn_of_item(item_id)
    return orjson.dumps(present_turns(turn.workspace_id, [turn])[0]) if turn else None
