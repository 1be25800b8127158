"""How many wrong passwords are looked at, and what somebody is told who entered too many."""

from collections.abc import Callable
from http import HTTPStatus
from math import ceil
from typing import Any

from axes.helpers import get_failure_limit
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from apps.accounts.actions import count_guess, record_audit, take_guess_back
from apps.accounts.domain.guesses import PASSWORDS, address_of_origin
from apps.accounts.queries import find_user


def counted_address(request: HttpRequest) -> str | None:
    """Whose wrong passwords are counted together, for django-axes: who has an IPv6 network has endless addresses."""
    return address_of_origin(request.META.get("REMOTE_ADDR") or "")


def sign_in_slowly(request: HttpRequest, sign_in: Callable[[], HttpResponse]) -> HttpResponse:
    """What the sign-in page answers; or 429 when too many wrong passwords came from the address, under whatever names.

    Each try is counted before its password is looked at, so that many at the same moment are no way around; a right one is taken back.
    """
    if request.method != "POST":
        return sign_in()
    address, most = request.META.get("REMOTE_ADDR") or "", settings.WRONG_PASSWORDS_PER_HOUR
    wait = count_guess(PASSWORDS, address=address, most=most)
    if wait:
        return _page(request, "accounts/slowed.html", "Wait", ceil(wait / 1000), minutes=ceil(wait / 60_000))
    answer = sign_in()
    if answer.status_code == HTTPStatus.FOUND:
        take_guess_back(PASSWORDS, address=address, most=most)
    return answer


def locked_out(request: HttpRequest, _original: HttpResponse | None, credentials: dict[str, Any] | None) -> HttpResponse:
    """429 in place of the sign-in page; django-axes calls it. That a name was locked is written down once, at the try that locked it."""
    name = str((credentials or {}).get("username", ""))[:150]
    is_first = getattr(request, "axes_failures_since_start", None) == get_failure_limit(request, credentials)
    # Names that strangers make up would fill a log that nobody can empty.
    if is_first and find_user(name) is not None:
        record_audit(verb="locked out", object_type="sign-in", object_label=name, reason="too many wrong passwords")
    seconds = int(settings.AXES_COOLOFF_TIME.total_seconds())
    return _page(request, "accounts/locked.html", "Locked", seconds, minutes=ceil(seconds / 60))


def _page(request: HttpRequest, template: str, title: str, seconds: int, **shown: Any) -> HttpResponse:
    context = admin.site.each_context(request) | {"title": title} | shown
    return TemplateResponse(request, template, context, status=429, headers={"Retry-After": str(seconds)}).render()
