"""Single calls, as OpenAI's clients make them. Async: while a caller waits, neither a thread nor a database connection is held."""

from collections.abc import Callable, Coroutine
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from apps.accounts.actions import authenticate_key
from apps.accounts.domain import idempotency
from apps.accounts.permissions import require_scope
from apps.jobs import actions
from apps.jobs.actions.answer_call import Caller
from apps.jobs.actions.call_threads import in_thread
from apps.jobs.actions.repeat_call import Repeats
from apps.jobs.domain.call_answer import CallAnswer
from apps.jobs.domain.call_request import CallRefusedError, CallRequest, read_call
from apps.jobs.models import ITEM_PREFIX
from apps.jobs.queries import read_served_by
from apps.lib.http_errors import ApiError
from apps.lib.ids import public_id, uuid7
from apps.providers.domain.policy import KEYS
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


async def _answer(request: HttpRequest, endpoint: str) -> HttpResponse:
    caller, call, repeats = await in_thread(_admit, request, endpoint)
    if repeats and repeats.item_id:
        item_id, headers = repeats.item_id, {idempotency.REPLAYED_HEADER: "true"}
        answer = await actions.repeat_call(item_id=item_id, wait_seconds=repeats.wait_seconds)
    else:
        item_id, headers = uuid7(), {}
        answer = await actions.answer_call(item_id=item_id, caller=caller, request=call, repeats=repeats, now=timezone.now())
    headers[ITEM_HEADER] = public_id(ITEM_PREFIX, item_id)
    if call.policy.cache_seconds:
        headers[KEYS["cache"]] = "hit" if answer.is_cached else "miss"
    if answer.content is None:
        raise _failure(answer, headers)
    if served_by := await in_thread(read_served_by, item_id):
        headers[SERVED_HEADER] = served_by
    return HttpResponse(answer.content, status=answer.status, content_type="application/json", headers=headers)


def _admit(request: HttpRequest, endpoint: str) -> tuple[Caller, CallRequest, Repeats | None]:
    key = authenticate_key(request.headers.get("Authorization"), now=timezone.now())
    require_scope(key, "chat")
    try:
        call = read_call(request.body, endpoint=endpoint, headers=request.headers, times=cache_times())
    except CallRefusedError as refused:
        raise ApiError(400, refused.code, refused.message, param=refused.param) from refused
    return Caller(workspace_id=key.workspace_id, api_key_id=key.id), call, _repeats(request, endpoint, key.workspace_id)


def _repeats(request: HttpRequest, endpoint: str, workspace_id: UUID) -> Repeats | None:
    if not idempotency.concerns(request.headers):
        return None
    fingerprint = idempotency.fingerprint_json(request.body)
    try:
        once = idempotency.read_once(request.headers, workspace_id=workspace_id, route=f"POST {endpoint}", fingerprint=fingerprint)
    except idempotency.IdempotencyKeyError as error:
        raise ApiError(400, "invalid_value", str(error), param=idempotency.KEY_HEADER) from error
    return actions.find_repeats(once, now=timezone.now())


def _failure(answer: CallAnswer, headers: dict[str, str]) -> ApiError:
    repeat = {} if answer.should_retry else {"x-should-retry": "false"}
    return ApiError(answer.status, answer.code, answer.message, headers=headers | repeat)
