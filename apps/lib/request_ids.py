"""The first thing in front of every view: an id for the request, no U+0000 and no API key in its address, no body that is compressed.

The id is bound to the log and sent back as `x-request-id`, which clients show in their errors.
"""

import time
from collections.abc import Awaitable

import structlog
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from apps.lib.background import INFRASTRUCTURE_ERRORS
from apps.lib.http_errors import ApiError, as_api_error, error_response
from apps.lib.ids import new_request_id
from apps.lib.middleware import EitherWay
from apps.lib.redaction import has_key_in_address

_KEY_IN_ADDRESS = (
    "An API key stands in the address. Addresses end in the logs of proxies and in histories of browsers: treat this key as leaked, "
    "revoke it, and send the next one in the header 'Authorization: Bearer <key>' alone."
)


class RequestIdMiddleware(EitherWay):
    """Also answers an ApiError that a plain view let out."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
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
    """Postgres takes no U+0000 in a text, keys in addresses leak, and nobody here unpacks a body; refused here, no view can forget it."""
    if "\0" in request.path or "%00" in request.META.get("QUERY_STRING", ""):
        return error_response(request.path, ApiError(400, "invalid_request", "The address holds the character U+0000 (%00). Leave it out."))
    if has_key_in_address(request.path, request.META.get("QUERY_STRING", "")):
        return error_response(request.path, ApiError(400, "key_in_address", _KEY_IN_ADDRESS))
    if request.META.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() not in {"", "identity"}:
        message = "The header Content-Encoding says that the body is compressed; send it as it is."
        return error_response(request.path, ApiError(415, "unsupported_media_type", message))
    return None


def _end(response: HttpResponseBase, request_id: str, started: float) -> HttpResponseBase:
    response.headers["x-request-id"] = request_id
    response.headers["openai-processing-ms"] = str(round((time.monotonic() - started) * 1000))
    return response
