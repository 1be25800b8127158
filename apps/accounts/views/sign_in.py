"""What somebody is told who entered too many wrong passwords."""

from typing import Any

from axes.helpers import get_failure_limit
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from apps.accounts.actions import record_audit
from apps.accounts.domain.keys import address_of_origin
from apps.accounts.queries import find_user


def counted_address(request: HttpRequest) -> str | None:
    """Whose wrong passwords are counted together, for django-axes: who has an IPv6 network has endless addresses."""
    return address_of_origin(request.META.get("REMOTE_ADDR") or "")


def locked_out(request: HttpRequest, _original: HttpResponse | None, credentials: dict[str, Any] | None) -> HttpResponse:
    """429 in place of the sign-in page; django-axes calls it. That a name was locked is written down once, at the try that locked it."""
    name = str((credentials or {}).get("username", ""))[:150]
    is_first = getattr(request, "axes_failures_since_start", None) == get_failure_limit(request, credentials)
    # Names that strangers make up would fill a log that nobody can empty.
    if is_first and find_user(name) is not None:
        record_audit(verb="locked out", object_type="sign-in", object_label=name, reason="too many wrong passwords")
    seconds = int(settings.AXES_COOLOFF_TIME.total_seconds())
    context = admin.site.each_context(request) | {"title": "Locked", "minutes": -(-seconds // 60)}
    answer = TemplateResponse(request, "accounts/locked.html", context, status=429, headers={"Retry-After": str(seconds)})
    return answer.render()
