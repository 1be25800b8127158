"""Tells the audit log which request a change belongs to; answers requests once that are sent twice."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.http.response import HttpResponseBase
from django.utils import timezone

from apps.accounts.actions import Answer, acting, answer_once, authenticate_key
from apps.accounts.domain import idempotency
from apps.accounts.domain.idempotency import REPLAYED_HEADER, IdempotencyKeyError, Once
from apps.lib.digests import digest_of
from apps.lib.http_errors import ApiError, as_api_error, error_response


class ActingMiddleware:
    """Works in sync and async; looks at nobody, so that requests that change nothing cost nothing."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if iscoroutinefunction(self.get_response):
            return self._answer(request)
        with acting(request):
            response: HttpResponseBase = self.get_response(request)
        return response

    async def _answer(self, request: HttpRequest) -> HttpResponseBase:
        with acting(request):
            response: HttpResponseBase = await self.get_response(request)
        return response


class OnceMiddleware:
    """Every POST of the API takes an `Idempotency-Key`, and knows the silent retries of OpenAI's packages by their count.

    It works around REST framework's views, in the transaction of what they do; single calls (async views) have their own way.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)
            self.process_view: Callable[..., Any] = self._before_view
        else:
            self.process_view = _answer_once

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        answer: HttpResponseBase | Awaitable[HttpResponseBase] = self.get_response(request)
        return answer

    async def _before_view(self, request: HttpRequest, view: Any, arguments: Any, named: Any) -> HttpResponseBase | None:
        # Nearly every request ends here, without a thread being asked.
        if not _is_concerned(request, view):
            return None
        answer: HttpResponseBase | None = await sync_to_async(_answer_once)(request, view, arguments, named)
        return answer


def _is_concerned(request: HttpRequest, view: Any) -> bool:
    return request.method == "POST" and hasattr(view, "cls") and idempotency.concerns(request.headers)


def _answer_once(request: HttpRequest, view: Any, arguments: Any, named: Any) -> HttpResponseBase | None:
    if not _is_concerned(request, view):
        return None
    try:
        key = authenticate_key(request.headers.get("Authorization"), now=timezone.now())
    except ApiError:
        key = None
    if key is None or getattr(view.cls, "required_scope", None) not in key.scopes:
        # Who may not come in is told so by the view, as ever.
        return None
    try:
        once = _read_once(request, key.workspace_id)
    except ApiError as refused:
        return error_response(request.path, refused)
    given: list[HttpResponseBase] = []

    def perform() -> Answer:
        response = view(request, *arguments, **named)
        response.render()
        given.append(response)
        return Answer(status=response.status_code, content=response.content, content_type=response.headers["Content-Type"])

    try:
        answer, is_replayed = answer_once(once, perform=perform, now=timezone.now())
    except ApiError as refused:
        return error_response(request.path, refused)
    if not is_replayed:
        return given[0]
    return HttpResponse(answer.content, status=answer.status, content_type=answer.content_type, headers={REPLAYED_HEADER: "true"})


def _read_once(request: HttpRequest, workspace_id: UUID) -> Once:
    try:
        return idempotency.read_once(
            request.headers,
            workspace_id=workspace_id,
            route=f"{request.method} {request.path}"[:200],
            fingerprint=_fingerprint(request),
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
