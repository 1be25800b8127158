"""Tells the audit log which request a change belongs to; answers requests once that are sent twice."""

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import sync_to_async
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.http.response import HttpResponseBase

from apps.accounts.actions import Answer, acting, answer_once, authenticate_key
from apps.accounts.domain import idempotency
from apps.accounts.domain.idempotency import REPLAYED_HEADER, IdempotencyKeyError, Once
from apps.accounts.domain.keys import Scope
from apps.accounts.models import ApiKey
from apps.lib.clock import current_time
from apps.lib.digests import digest_of
from apps.lib.http_errors import ApiError, as_api_error, error_response
from apps.lib.middleware import EitherWay


class ActingMiddleware(EitherWay):
    """Looks at nobody, so that requests that change nothing cost nothing."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            return self._answer(request)
        with acting(request):
            response: HttpResponseBase = self.get_response(request)
        return response

    async def _answer(self, request: HttpRequest) -> HttpResponseBase:
        with acting(request):
            response: HttpResponseBase = await self.get_response(request)
        return response


class OnceMiddleware(EitherWay):
    """Every POST of the API takes an `Idempotency-Key`, and knows the silent retries of OpenAI's packages by their count.

    It works around REST framework's views, in the transaction of what they do; single calls (async views) have their own way.
    """

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        super().__init__(get_response)
        self.process_view: Callable[..., Any] = self._before_view if self.is_async else _answer_once

    async def _before_view(self, request: HttpRequest, view: Any, arguments: Any, named: Any) -> HttpResponseBase | None:
        # Nearly every request ends here, without a thread being asked.
        if not _is_concerned(request, view):
            return None
        answer: HttpResponseBase | None = await sync_to_async(_answer_once)(request, view, arguments, named)
        return answer


def _is_concerned(request: HttpRequest, view: Any) -> bool:
    if request.method != "POST" or not hasattr(view, "cls") or not idempotency.concerns(request.headers):
        return False
    is_look = getattr(view.cls, "is_look", None)
    return is_look is None or not is_look(request)


def _answer_once(request: HttpRequest, view: Any, arguments: Any, named: Any) -> HttpResponseBase | None:
    if not _is_concerned(request, view):
        return None
    try:
        key = authenticate_key(request.headers.get("Authorization"), now=current_time())
    except ApiError:
        key = None
    if key is None or getattr(view.cls, "required_scope", None) not in key.scopes:
        # Who may not come in is told so by the view, as ever.
        return None
    try:
        # Answers behind this scope may hold a secret: another key, with fewer scopes, must not be told what this one was given.
        once = _read_once(request, key, is_own=view.cls.required_scope == Scope.ADMIN)
    except ApiError as refused:
        return error_response(request.path, refused)
    given: list[HttpResponseBase] = []

    def perform() -> Answer:
        response = view(request, *arguments, **named)
        response.render()
        given.append(response)
        return Answer(status=response.status_code, content=response.content, content_type=response.headers["Content-Type"])

    try:
        answer, is_replayed = answer_once(once, perform=perform, now=current_time())
    except ApiError as refused:
        return error_response(request.path, refused)
    if not is_replayed:
        return given[0]
    return HttpResponse(answer.content, status=answer.status, content_type=answer.content_type, headers={REPLAYED_HEADER: "true"})


def _read_once(request: HttpRequest, key: ApiKey, *, is_own: bool) -> Once:
    try:
        return idempotency.read_once(
            request.headers,
            workspace_id=key.workspace_id,
            api_key_id=key.id,
            route=f"{request.method} {request.path}"[:200],
            fingerprint=_fingerprint(request),
            is_own=is_own,
        )
    except IdempotencyKeyError as error:
        raise ApiError(400, "invalid_value", str(error), param=idempotency.KEY_HEADER) from error


def _fingerprint(request: HttpRequest) -> str:
    try:
        if request.content_type != "multipart/form-data":
            return idempotency.fingerprint_json(request.body)
        fields, files = request.POST, request.FILES
    except MultiPartParserError as error:
        raise ApiError(400, "invalid_request", f"The form can't be read: {error}") from error
    except (RequestDataTooBig, SuspiciousOperation) as error:
        raise as_api_error(error) or error from error
    return idempotency.fingerprint_form(
        fields.lists(),
        [(field, upload.name or "", upload.size or 0, digest_of(upload)) for field, uploads in files.lists() for upload in uploads],
    )
