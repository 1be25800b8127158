"""Single calls, as OpenAI's clients make them. Async: while a caller waits, neither a thread nor a database connection is held."""

from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from apps.accounts.actions import authenticate_key
from apps.accounts.domain import idempotency
from apps.accounts.permissions import require_scope
from apps.conversations.domain.state import CONVERSATION_PREFIX, State
from apps.conversations.queries.turns import find_conversation, find_turn_of_item
from apps.jobs import actions
from apps.jobs.actions.call_threads import in_thread
from apps.jobs.actions.prepare_turn import TurnAsk
from apps.jobs.actions.repeat_call import Repeats
from apps.jobs.domain.call_answer import CallAnswer
from apps.jobs.domain.call_request import Caller, CallRefusedError, CallRequest, read_call
from apps.jobs.domain.prompt_use import CHAT
from apps.jobs.domain.stream_wish import StreamWish, stored_wish, stream_wish
from apps.jobs.domain.streamed_answer import StreamedAnswer
from apps.jobs.domain.turn_request import CONVERSATION, names_conversation, read_chat_turn
from apps.jobs.models import ITEM_PREFIX
from apps.jobs.queries import read_served_by
from apps.jobs.views.streams import answered_lines, written
from apps.lib.clock import current_time
from apps.lib.http_errors import GIVE_UP, ApiError
from apps.lib.ids import public_id, uuid7
from apps.lib.streaming import stream_events
from apps.providers.domain.policy import KEYS, PolicyRefusedError, of_headers, read_policy
from apps.providers.queries import cache_times

ITEM_HEADER = "X-Item-Id"
SERVED_HEADER = "X-Served-By"
_CONVERSATION_HEADER = "X-Conversation-Id"
# For a turn that a client's package sends again by itself: as long as one may take.
_PATIENCE_SECONDS = 900.0


def call_view(endpoint: str) -> Callable[[HttpRequest], Coroutine[Any, Any, HttpResponseBase]]:
    """The view that answers POST on `endpoint`, for example `/v1/chat/completions`."""

    @csrf_exempt
    async def view(request: HttpRequest) -> HttpResponseBase:
        if request.method != "POST":
            message = f"{endpoint} takes POST alone, not {request.method}."
            raise ApiError(405, "method_not_allowed", message, headers={"Allow": "POST"})
        return await _answer(request, endpoint)

    return view


@dataclass(frozen=True, slots=True)
class _New:
    """A good request; what is known of it from before has not answered it. A turn becomes a call once it is composed."""

    caller: Caller
    call: CallRequest | TurnAsk
    repeats: Repeats | None
    has_cache: bool
    wish: StreamWish
    left: Sequence[actions.LeftCall] = ()


@dataclass(frozen=True, slots=True)
class _Again:
    """A request that was sent before: that item answers it."""

    item_id: UUID
    wait_seconds: float
    has_cache: bool
    wish: StreamWish
    taken_over: Repeats | None = None


async def _answer(request: HttpRequest, endpoint: str) -> HttpResponseBase:
    item_id = uuid7()
    admitted = await in_thread(_admit, request, endpoint, item_id, actions.reply_hub().channel)
    if isinstance(admitted, _New) and admitted.repeats and admitted.left:
        admitted = await _take_over(admitted, admitted.repeats, item_id)
    told = StreamedAnswer(is_usage_told=admitted.wish.is_usage_told)
    if isinstance(admitted, _Again):
        item_id = admitted.item_id
        begun, headers = await _repeat(admitted)
    else:
        begun, headers = await _ask(admitted, item_id, told)
    if isinstance(begun, actions.BegunStream):
        lines = begun.written(partial(written, told=told))
        return stream_events(lines, {ITEM_HEADER: public_id(ITEM_PREFIX, item_id), **headers})
    answer = begun
    headers[ITEM_HEADER] = public_id(ITEM_PREFIX, item_id)
    if not answer.should_retry:
        headers |= GIVE_UP
    if admitted.has_cache:
        headers[KEYS["cache"]] = "hit" if answer.is_cached else "miss"
    if answer.content is None:
        raise failure_of(answer, headers)
    if served_by := await in_thread(read_served_by, item_id):
        headers[SERVED_HEADER] = served_by
    if admitted.wish.is_streamed and answer.status == 200:
        return stream_events(answered_lines(answer, told), headers)
    return HttpResponse(answer.content, status=answer.status, content_type="application/json", headers=headers)


async def _take_over(new: _New, repeats: Repeats, item_id: UUID) -> _New | _Again:
    """The same call of a process that is gone answers it, unless that process turns out to live."""
    repeats = await actions.take_over_call(repeats, new.left, item_id=item_id, now=current_time())
    if repeats.item_id is None:
        return new
    return _Again(repeats.item_id, repeats.wait_seconds, new.has_cache, new.wish, repeats)


async def _repeat(again: _Again) -> tuple[actions.BegunStream | CallAnswer, dict[str, str]]:
    begun = await actions.begin_repeat(
        item_id=again.item_id,
        wait_seconds=again.wait_seconds,
        is_streamed=again.wish.is_streamed,
        taken_over=again.taken_over,
        now=current_time(),
    )
    return begun, {idempotency.REPLAYED_HEADER: "true", **await in_thread(headers_of_turn, again.item_id)}


async def _ask(new: _New, item_id: UUID, told: StreamedAnswer) -> tuple[actions.BegunStream | CallAnswer, dict[str, str]]:
    """What is streamed is answered from its first piece on; all else once it has ended. And the headers that tell of a turn."""
    tells = told if new.wish.is_streamed else None
    if isinstance(new.call, TurnAsk):
        headers, begun = await say(new.call, item_id, tells, new.repeats)
        return begun, headers
    begun = await actions.begin_call(
        item_id=item_id, caller=new.caller, request=new.call, told=tells, repeats=new.repeats, now=current_time()
    )
    return begun, {}


async def say(
    ask: TurnAsk, item_id: UUID, told: StreamedAnswer | None, repeats: Repeats | None
) -> tuple[dict[str, str], CallAnswer | actions.BegunStream]:
    """The headers that tell of a turn, and what it began."""
    with refusing_calls():
        call, begun = await actions.say_turn(ask, item_id=item_id, told=told, repeats=repeats, clock=current_time)
    if call:
        return turn_headers(call), begun
    # One that has not been sent yet is asked where it was sent, unless it may be forked: then nobody knows.
    is_known = not await in_thread(actions.may_fork, ask)
    return {_CONVERSATION_HEADER: public_id(CONVERSATION_PREFIX, ask.conversation_id)} if is_known else {}, begun


def headers_of_turn(item_id: UUID) -> dict[str, str]:
    """Of a turn that was sent before; closed, whoever waited for it first."""
    actions.close_turns(item_id=item_id)
    turn = find_turn_of_item(item_id)
    return _turn_headers(turn.conversation_id, turn.asked_in) if turn else {}


def turn_headers(call: CallRequest) -> dict[str, str]:
    """Which turn of which conversation the answer is, and the state that it was asked in: a conflict may have forked or moved it."""
    return _turn_headers(call.turn.in_conversation_id, call.turn.state) if call.turn else {}


def _turn_headers(conversation_id: UUID, asked_in: State) -> dict[str, str]:
    return {
        _CONVERSATION_HEADER: public_id(CONVERSATION_PREFIX, conversation_id),
        "X-Conversation-Version": str(asked_in.version + 1),
        "X-Conversation-State": asked_in.token,
    }


@contextmanager
def refusing_calls() -> Iterator[None]:
    """What is wrong with a request is answered with 400 and its place."""
    try:
        yield
    except CallRefusedError as refused:
        raise ApiError(400, refused.code, refused.message, param=refused.param) from refused


def _admit(request: HttpRequest, endpoint: str, item_id: UUID, channel: str) -> _New | _Again:
    key = authenticate_key(request.headers.get("Authorization"), now=current_time(), address=request.META.get("REMOTE_ADDR", ""))
    require_scope(key, "chat")
    caller = Caller(workspace_id=key.workspace_id, api_key_id=key.id)
    # Before its prompt is looked up: what is sent again was good when it came first, whatever has become of its prompt meanwhile.
    repeats = find_repeated(request, endpoint, key.workspace_id, key.id)
    if isinstance(repeats, Repeats) and repeats.item_id:
        return _Again(repeats.item_id, repeats.wait_seconds, _wants_cache(request, endpoint), stored_wish(request.body))
    with refusing_calls():
        call = _read(request, endpoint, caller)
    # What is wrong with the request comes first.
    if isinstance(repeats, ApiError):
        raise repeats
    if isinstance(call, TurnAsk):
        if repeats and repeats.once.is_guess and repeats.once.is_retry and (sent := actions.find_sent(call)):
            return _Again(sent, _PATIENCE_SECONDS, has_cache=False, wish=stream_wish(call.request.rest))
        return _New(caller, call, repeats, has_cache=_wants_cache(request, endpoint), wish=stream_wish(call.request.rest))
    has_cache = bool(call.policy.cache_seconds)
    left: Sequence[actions.LeftCall] = ()
    if repeats and repeats.once.is_guess:
        repeats, left = actions.find_left(repeats, item_id=item_id, caller=caller, request=call, channel=channel, now=current_time())
    return _New(caller, call, repeats, has_cache, call.streams, left)


def _read(request: HttpRequest, endpoint: str, caller: Caller) -> CallRequest | TurnAsk:
    """A turn, when the request names a conversation."""
    if endpoint == CHAT and (values := names_conversation(request.body)):
        conversation = find_conversation(workspace_id=caller.workspace_id, conversation_id=values.pop(CONVERSATION))
        return actions.turn_ask(caller, conversation.id, read_chat_turn(values), headers=request.headers)
    return read_call(
        request.body,
        endpoint=endpoint,
        headers=request.headers,
        times=cache_times(),
        expand=actions.single_prompt_expander(caller.workspace_id),
        check_tools=actions.tool_checker(caller.workspace_id),
    )


def _wants_cache(request: HttpRequest, endpoint: str) -> bool:
    with suppress(PolicyRefusedError):
        return bool(read_policy(of_headers(request.headers), endpoint=endpoint, times=cache_times()).cache_seconds)
    return False


def find_repeated(request: HttpRequest, endpoint: str, workspace_id: UUID, api_key_id: UUID) -> Repeats | ApiError | None:
    """What is known of the request from before, or why it can't be taken with its key."""
    if not idempotency.concerns(request.headers):
        return None
    # Of what was sent: a repetition is one, whichever version of its prompt has been published meanwhile.
    fingerprint = idempotency.fingerprint_json(request.body)
    try:
        once = idempotency.read_once(
            request.headers,
            workspace_id=workspace_id,
            api_key_id=api_key_id,
            route=f"POST {endpoint}",
            fingerprint=fingerprint,
        )
        return actions.find_repeats(once, now=current_time())
    except idempotency.IdempotencyKeyError as error:
        return ApiError(400, "invalid_value", str(error), param=idempotency.KEY_HEADER)
    except ApiError as refused:
        return refused


def failure_of(answer: CallAnswer, headers: dict[str, str]) -> ApiError:
    wait = {"Retry-After": str(answer.retry_after_seconds)} if answer.retry_after_seconds else {}
    error_type = answer.code if answer.code == "insufficient_quota" else None
    return ApiError(answer.status, answer.code, answer.message, error_type=error_type, headers=headers | wait)
