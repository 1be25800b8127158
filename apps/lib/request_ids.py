"""The first thing in front of every view: an id for the request, no U+0000 in its address, no body that is compressed.

The id is bound to the log and sent back as `x-request-id`, which clients show in their errors.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from apps.lib.background import INFRASTRUCTURE_ERRORS
from apps.lib.http_errors import ApiError, as_api_error, error_response
from apps.lib.ids import new_request_id


class RequestIdMiddleware:
    """Works in sync and async; also answers an ApiError that a plain view let out."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if iscoroutinefunction(self.get_response):
            return self._answer(request)
        request_id, started = _begin()
        return _end(_refuse(request) or self.get_response(request), request_id, started)

    async def _answer(self, request: HttpRequest) -> HttpResponseBase:
        request_id, started = _begin()
        return _end(_refuse(request) or await self.get_response(request), request_id, started)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponseBase | None:
        """Below /v1 and /api every refusal; elsewhere Django has pages of its own for what it raises itself."""
        is_api = request.path.startswith(("/v1", "/api"))
        error = as_api_error(exception) if is_api or isinstance(exception, (ApiError, *INFRASTRUCTURE_ERRORS)) else None
        return error_response(request.path, error) if error else None


def _begin() -> tuple[str, float]:
    request_id = new_request_id()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=request_id)
    return request_id, time.monotonic()


def _refuse(request: HttpRequest) -> HttpResponseBase | None:
    """Postgres takes no U+0000 in a text, and nobody here unpacks a body; refused here, no view can forget it."""
    if "\0" in request.path or "%00" in request.META.get("QUERY_STRING", ""):
        return error_response(request.path, ApiError(400, "invalid_request", "The address holds the character U+0000 (%00). Leave it out."))
    if request.META.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() not in {"", "identity"}:
        message = "The header Content-Encoding says that the body is compressed; send it as it is."
        return error_response(request.path, ApiError(415, "unsupported_media_type", message))
    return None


def _end(response: HttpResponseBase, request_id: str, started: float) -> HttpResponseBase:
    response.headers["x-request-id"] = request_id
    response.headers["openai-processing-ms"] = str(round((time.monotonic() - started) * 1000))
    return response
