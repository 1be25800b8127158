"""What a person is told in the back office when a page isn't there or isn't theirs; programs get their answers from `lib.http_errors`."""

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from apps.lib import http_errors
from apps.lib.http_errors import ApiError, as_api_error, error_response

_MISSING = "There is nothing at this address. What it showed was deleted, has expired, or belongs to a workspace that is not yours."


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Django's 404."""
    return _page(request, 404, "Not found", _MISSING) or http_errors.not_found(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's 403."""
    error = as_api_error(exception) or ApiError(403, "permission_denied", "This is not allowed.")
    message = str(exception) or "Your role doesn't allow this. An owner of the workspace, or a superuser, can."
    return _page(request, 403, "Not allowed", message) or error_response(request.path, error)


def _page(request: HttpRequest, status: int, title: str, message: str) -> HttpResponse | None:
    """A page with the menu; None for programs and for whoever has not signed in."""
    if not request.path.startswith(settings.ADMIN_PATH) or not hasattr(request, "user") or not admin.site.has_permission(request):
        return None
    context = admin.site.each_context(request) | {"title": title, "message": message}
    return TemplateResponse(request, "ops/refused.html", context, status=status).render()
