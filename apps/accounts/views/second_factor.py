"""The page of one's own second factor: enter a code to get in, set the factor up, renew its recovery codes, switch it off."""

from typing import Any

import segno
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth import logout
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from django_otp import login as take_device

from apps.accounts.actions import begin_second_factor, check_code, confirm_second_factor, end_second_factor, renew_recovery_codes
from apps.accounts.domain.second_factor import CodeRefusedError, FactorStandsError, Step
from apps.accounts.models import Authenticator, User
from apps.accounts.permissions import sign_in_step
from apps.accounts.queries import count_recovery_codes

# In the session: which secret it was shown.
_MARK = "second_factor_mark"


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def second_factor(request: HttpRequest) -> HttpResponse:
    """For whoever has given a password; what the page is for depends on what they have."""
    user = request.user
    if not (isinstance(user, User) and user.is_active and user.is_staff):
        return redirect_to_login(request.get_full_path(), reverse("admin:login"))
    if request.POST.get("action") == "leave":
        logout(request)
        return HttpResponseRedirect(reverse("admin:login"))
    if sign_in_step(user) == Step.ENTER:
        return _enter(request, user)
    return _manage(request, user) if user.second_factor_since else _set_up(request, user)


def _enter(request: HttpRequest, user: User) -> HttpResponse:
    complaint = ""
    if request.method == "POST":
        try:
            device = check_code(request.POST.get("code", ""), user_id=user.pk, now=timezone.now())
        except CodeRefusedError as refused:
            complaint = str(refused)
        else:
            _let_in(request, device)
            return HttpResponseRedirect(_next(request))
    return _page(request, "accounts/second_factor_enter.html", "Second factor", complaint=complaint)


def _set_up(request: HttpRequest, user: User) -> HttpResponse:
    complaint = ""
    if request.method == "POST":
        try:
            mark = request.session.get(_MARK, "")
            device, codes = confirm_second_factor(user, code=request.POST.get("code", ""), mark=mark, now=timezone.now())
        except CodeRefusedError as refused:
            complaint = str(refused)
        else:
            _let_in(request, device)
            return _page(request, "accounts/recovery_codes.html", "Recovery codes", codes=codes)
    try:
        factor = begin_second_factor(user, mark=request.session.get(_MARK, ""))
    except FactorStandsError:
        # Confirmed this very moment, by another session or a second click.
        return HttpResponseRedirect(reverse("second-factor"))
    request.session[_MARK] = factor.mark
    # Black on white in both themes: that is what cameras read.
    picture = segno.make(factor.uri, error="m").svg_data_uri(scale=5, border=3, light="white")
    is_required = sign_in_step(user) == Step.SET_UP
    return _page(
        request,
        "accounts/second_factor_set_up.html",
        "Set up the second factor",
        complaint=complaint,
        picture=picture,
        secret=factor.secret,
        is_required=is_required,
    )


def _manage(request: HttpRequest, user: User) -> HttpResponse:
    complaint = ""
    if request.method == "POST" and request.POST.get("action") not in {"end", "renew"}:
        # The form of another tab, from before this session had shown a code.
        return HttpResponseRedirect(_next(request))
    if request.method == "POST":
        try:
            if request.POST.get("action") == "end":
                check_code(request.POST.get("code", ""), user_id=user.pk, now=timezone.now())
                end_second_factor(user_id=user.pk, reason="by themselves")
                messages.success(request, "The second factor is off: your password alone lets you in.")
                return HttpResponseRedirect(reverse("admin:index"))
            codes = renew_recovery_codes(user, code=request.POST.get("code", ""), now=timezone.now())
            return _page(request, "accounts/recovery_codes.html", "Recovery codes", codes=codes)
        except CodeRefusedError as refused:
            complaint = str(refused)
    left = count_recovery_codes(user)
    return _page(request, "accounts/second_factor.html", "Second factor", complaint=complaint, codes_left=left)


def _let_in(request: HttpRequest, device: Authenticator) -> None:
    """A session that was known before the code is worth nothing afterwards."""
    request.session.cycle_key()
    take_device(request, device)


def _next(request: HttpRequest) -> str:
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    is_ours = url_has_allowed_host_and_scheme(wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure())
    return wanted if is_ours else resolve_url("admin:index")


def _page(request: HttpRequest, template: str, title: str, **shown: Any) -> HttpResponse:
    context = admin.site.each_context(request) | shown | {"title": title, "next": _next(request), "issuer": settings.UNFOLD["SITE_HEADER"]}
    return TemplateResponse(request, template, context)
