"""Single calls, as OpenAI's clients make them. Async: while a caller waits, neither a thread nor a database connection is held."""

from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from apps.accounts.actions import authenticate_key
from apps.accounts.domain import idempotency
from apps.accounts.permissions import require_scope
from apps.jobs import actions
from apps.jobs.actions.call_threads import in_thread
from apps.jobs.actions.repeat_call import Repeats
from apps.jobs.domain.call_answer import CallAnswer
from apps.jobs.domain.call_request import Caller, CallRefusedError, CallRequest, read_call
from apps.jobs.models import ITEM_PREFIX
from apps.jobs.queries import read_served_by
from apps.lib.clock import current_time
from apps.lib.http_errors import GIVE_UP, ApiError
from apps.lib.ids import public_id, uuid7
from apps.providers.domain.policy import KEYS, PolicyRefusedError, of_headers, read_policy
from apps.providers.queries import cache_times

ITEM_HEADER = "X-Item-Id"
SERVED_HEADER = "X-Served-By"


def call_view(endpoint: str) -> Callable[[HttpRequest], Coroutine[Any, Any, HttpResponse]]:
    """The view that answers POST on `endpoint`, for example `/v1/chat/completions`."""

    @csrf_exempt
    async def view(request: HttpRequest) -> HttpResponse:
        if request.method != "POST":
            message = f"{endpoint} takes POST alone, not {request.method}."
            raise ApiError(405, "method_not_allowed", message, headers={"Allow": "POST"})
        return await _answer(request, endpoint)

    return view


@dataclass(frozen=True, slots=True)
class _New:
    """A good request; what is known of it from before has not answered it."""

    caller: Caller
    call: CallRequest
    repeats: Repeats | None
    has_cache: bool


@dataclass(frozen=True, slots=True)
class _Again:
    """A request that was sent before: that item answers it."""

    item_id: UUID
    wait_seconds: float
    has_cache: bool


async def _answer(request: HttpRequest, endpoint: str) -> HttpResponse:
    admitted = await in_thread(_admit, request, endpoint)
    if isinstance(admitted, _Again):
        item_id, headers = admitted.item_id, {idempotency.REPLAYED_HEADER: "true"}
        answer = await actions.repeat_call(item_id=item_id, wait_seconds=admitted.wait_seconds)
    else:
        item_id, headers = uuid7(), {}
        answer = await actions.answer_call(
            item_id=item_id, caller=admitted.caller, request=admitted.call, repeats=admitted.repeats, now=current_time()
        )
    headers[ITEM_HEADER] = public_id(ITEM_PREFIX, item_id)
    if not answer.should_retry:
        headers |= GIVE_UP
    if admitted.has_cache:
        headers[KEYS["cache"]] = "hit" if answer.is_cached else "miss"
    if answer.content is None:
        raise _failure(answer, headers)
    if served_by := await in_thread(read_served_by, item_id):
        headers[SERVED_HEADER] = served_by
    return HttpResponse(answer.content, status=answer.status, content_type="application/json", headers=headers)


def _admit(request: HttpRequest, endpoint: str) -> _New | _Again:
    key = authenticate_key(request.headers.get("Authorization"), now=current_time(), address=request.META.get("REMOTE_ADDR", ""))
    require_scope(key, "chat")
    caller = Caller(workspace_id=key.workspace_id, api_key_id=key.id)
    # Before its prompt is looked up: what is sent again was good when it came first, whatever has become of its prompt meanwhile.
    repeats = _repeats(request, endpoint, key.workspace_id, key.id)
    if isinstance(repeats, Repeats) and repeats.item_id:
        return _Again(repeats.item_id, repeats.wait_seconds, _wants_cache(request, endpoint))
    try:
        call = read_call(
            request.body,
            endpoint=endpoint,
            headers=request.headers,
            times=cache_times(),
            expand=actions.single_prompt_expander(key.workspace_id),
        )
    except CallRefusedError as refused:
        raise ApiError(400, refused.code, refused.message, param=refused.param) from refused
    # What is wrong with the request comes first.
    if isinstance(repeats, ApiError):
        raise repeats
    return _New(caller, call, repeats, has_cache=bool(call.policy.cache_seconds))


def _wants_cache(request: HttpRequest, endpoint: str) -> bool:
    with suppress(PolicyRefusedError):
        return bool(read_policy(of_headers(request.headers), endpoint=endpoint, times=cache_times()).cache_seconds)
    return False


def _repeats(request: HttpRequest, endpoint: str, workspace_id: UUID, api_key_id: UUID) -> Repeats | ApiError | None:
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


def _failure(answer: CallAnswer, headers: dict[str, str]) -> ApiError:
    wait = {"Retry-After": str(answer.retry_after_seconds)} if answer.retry_after_seconds else {}
    error_type = answer.code if answer.code == "insufficient_quota" else None
    return ApiError(answer.status, answer.code, answer.message, error_type=error_type, headers=headers | wait)
