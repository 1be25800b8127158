"""One place that answers errors: OpenAI's envelope under /v1, a plain page in the back office, RFC 9457 problems everywhere else.

A Postgres or Redis that doesn't answer, a full disk and a process without file descriptors are told as 503 with Retry-After, whichever
door they were met behind.
"""

import errno
import sys
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import redis
import structlog
from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.html import format_html
from rest_framework import exceptions
from rest_framework.response import Response

from apps.lib.background import INFRASTRUCTURE_ERRORS
from apps.lib.pool_care import replace_dead_connections

log = structlog.get_logger(__name__)

_CODES = {
    400: "invalid_request",
    401: "invalid_api_key",
    403: "permission_denied",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    413: "request_too_large",
    415: "unsupported_media_type",
    429: "rate_limit_exceeded",
    500: "internal_error",
    503: "unavailable",
}
_TYPES = {403: "permission_denied", 429: "rate_limit_exceeded"}
_RETRY_AFTER_SECONDS = "5"
TOO_OFTEN = "Too many requests with this key. Wait as long as Retry-After says."
# A disk is not emptied in a moment.
_STORAGE_RETRY_AFTER_SECONDS = "60"
# What a write says that finds no room: on the disk, in a quota, beyond the longest file that is allowed.
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_DESCRIPTORS = {errno.EMFILE, errno.ENFILE}
# What OpenAI's packages look at before they repeat a request by themselves.
GIVE_UP = {"x-should-retry": "false"}
# Refusals that may pass, or may not: each says which.
_OPEN = {408, 409, 425, 429}
# A message of REST framework's may repeat what was sent; not all of it.
_LONGEST_MESSAGE = 500
# Under this name the ASGI scope has the path that was asked for, where another one is answered in its place.
ASKED_PATH = "aiplatform.asked_path"
# For people; it needs neither a template nor a session, and so no database.
_PAGE = (
    '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    '</head><body><h1>{title}</h1><p>{message}</p><p><a href="">Try again</a></p></body></html>'
)


class ApiError(Exception):
    """A request is refused; raised by any door or action, answered in one place.

    `code` is for programs, `message` for people: what is wrong where, and what to do. Of the statuses that clients repeat by themselves
    (408, 409, 429, 5xx) each refusal says what holds: `headers=GIVE_UP` when asking again will not change it, else a `Retry-After`.
    All other refusals tell clients by themselves that there is no use in asking again.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        error_type: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.error_type = error_type or _type_of(status)
        self.headers = (GIVE_UP if _is_final(status) else {}) | dict(headers or {})

    @property
    def is_final(self) -> bool:
        """Asking again will not change it."""
        return GIVE_UP.items() <= self.headers.items()


def _is_final(status: int) -> bool:
    return 400 <= status < 500 and status not in _OPEN


def _type_of(status: int) -> str:
    return _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")


def error_content(path: str, error: ApiError) -> dict[str, Any]:
    """The body that tells `error` to a caller of `path`."""
    if path.startswith("/v1"):
        return {"error": {"message": error.message, "type": error.error_type, "param": error.param, "code": error.code}}
    problem = {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.message,
        "code": error.code,
    }
    return problem | ({"param": error.param} if error.param else {})


def _content_type(path: str) -> str:
    return "application/json" if path.startswith("/v1") else "application/problem+json"


def error_response(path: str, error: ApiError) -> HttpResponse:
    """The answer of a plain Django view (also an async one)."""
    if path.startswith(settings.ADMIN_PATH):
        page = format_html(_PAGE, title=HTTPStatus(error.status).phrase, message=error.message)
        return HttpResponse(page, status=error.status, headers=error.headers)
    return JsonResponse(error_content(path, error), status=error.status, headers=error.headers, content_type=_content_type(path))


def answer_exception(exception: Exception, context: Mapping[str, Any]) -> Response | None:
    """REST framework's exception handler; None lets Django answer 500 (by `server_error`) and log it."""
    error = as_api_error(exception)
    if error is None:
        return None
    path = context["request"].path
    response = Response(error_content(path, error), status=error.status, headers=error.headers)
    response.content_type = _content_type(path)
    return response


def as_api_error(exception: Exception) -> ApiError | None:
    """The refusal behind an exception of ours, of Django's or of REST framework's; None for a defect."""
    match exception:
        case ApiError():
            error: ApiError | None = exception
        case Http404():
            error = ApiError(404, "not_found", str(exception) or "There is nothing at this address.")
        case PermissionDenied():
            error = ApiError(403, "permission_denied", str(exception) or "This is not allowed.")
        case RequestDataTooBig():
            error = ApiError(413, "request_too_large", "The request's body is too large; send long texts as a file.")
        case SuspiciousOperation():
            error = ApiError(400, "invalid_request", f"The request was not taken: {exception}")
        case exceptions.APIException():
            error = _from_rest_framework(exception)
        case _ if _is_outage(exception):
            error = _unavailable(exception)
        case OSError():
            error = find_shortage(exception)
        case _:
            error = None
    return error


def _is_outage(exception: BaseException | None) -> bool:
    """Django wraps the database's own errors, and one of a database that is read-only in a class that says nothing."""
    return isinstance(exception, INFRASTRUCTURE_ERRORS) or isinstance(getattr(exception, "__cause__", None), INFRASTRUCTURE_ERRORS)


def _unavailable(exception: Exception) -> ApiError:
    store = "message store" if isinstance(exception, redis.RedisError) else "database"
    log.warning("store_does_not_answer", store=store, error=str(exception))
    if store == "database":
        replace_dead_connections()
    message = f"The platform's {store} does not answer at present. What was accepted is safe; try again in a moment."
    return ApiError(503, "unavailable", message, headers={"Retry-After": _RETRY_AFTER_SECONDS})


def storage_short(message: str) -> ApiError:
    """The refusal of what there is no room for."""
    return ApiError(503, "storage_short", message, headers={"Retry-After": _STORAGE_RETRY_AFTER_SECONDS})


def find_shortage(exception: BaseException | None) -> ApiError | None:
    """The refusal behind a write that found no room, or a file that could not be opened for too many are; None for every other error."""
    if not isinstance(exception, OSError):
        return None
    if exception.errno in _NO_ROOM:
        log.error("storage_is_full", error=str(exception))
        return storage_short(
            "The platform has no room left for what was sent, and kept nothing of it. What was accepted before is safe. "
            "Send it again later; 'Retry-After' says when to try."
        )
    if exception.errno in _NO_DESCRIPTORS:
        log.error("no_file_descriptors", error=str(exception))
        message = "The platform has too many connections and files open at present. What was accepted is safe; try again in a moment."
        return ApiError(503, "unavailable", message, headers={"Retry-After": _RETRY_AFTER_SECONDS})
    return None


def _from_rest_framework(exception: exceptions.APIException) -> ApiError:
    headers = {}
    if header := getattr(exception, "auth_header", None):
        headers["WWW-Authenticate"] = header
    if wait := getattr(exception, "wait", None):
        headers["Retry-After"] = f"{wait:.0f}"
    param, message = _first_detail(exception.detail)
    if isinstance(exception, exceptions.Throttled):
        message = TOO_OFTEN
    code = _CODES.get(exception.status_code, "invalid_request")
    return ApiError(exception.status_code, code, message[:_LONGEST_MESSAGE], param=param, headers=headers)


def _first_detail(detail: Any, param: str | None = None) -> tuple[str | None, str]:
    """The first complaint of a (nested) validation error, with the field it is about."""
    while isinstance(detail, dict | list) and detail:
        if isinstance(detail, dict):
            name, detail = next(iter(detail.items()))
            param = name if param is None else f"{param}.{name}"
        else:
            detail = detail[0]
    return (None if param == "non_field_errors" else param), str(detail)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:  # noqa: ARG001 -- Django's signature
    """Django's 404 for addresses that no route has."""
    path = getattr(request, "scope", {}).get(ASKED_PATH, request.path)
    message = f"There is no {request.method} {path[:200]}; see /api/schema/ for what there is."
    return error_response(request.path, ApiError(404, "not_found", message))


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's 400: a host that is not ours, a malformed form."""
    return error_response(request.path, as_api_error(exception) or ApiError(400, "invalid_request", "The request was not understood."))


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's 500: the log has the traceback, the caller gets no detail. What middleware met ends here, too."""
    if isinstance(exception := sys.exception(), Exception) and _is_outage(exception):
        return error_response(request.path, _unavailable(exception))
    if shortage := find_shortage(sys.exception()):
        return error_response(request.path, shortage)
    message = "Something failed inside the platform; its log has the details. Trying again is safe."
    return error_response(request.path, ApiError(500, "internal_error", message))
