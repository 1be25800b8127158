"""What the public price list says of our targets: looked at first, then taken over by choice."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone

from apps.accounts.permissions import reason_of
from apps.lib.http_errors import ApiError
from apps.providers.actions import compare_with_list, import_prices
from apps.providers.domain.listed_prices import source


class PriceListPages:
    """For the admin of providers: `prices/`."""

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view  # type: ignore[attr-defined]  # a mixin
        return [path("prices/", view(self.price_list), name="providers_provider_prices"), *super().get_urls()]  # type: ignore[misc]  # a mixin

    def price_list(self, request: HttpRequest) -> HttpResponse:
        """Each change has a key that holds what was shown: what has changed since is not written."""
        if not request.user.is_superuser:
            raise PermissionDenied("Prices belong to the whole platform: superusers alone see them.")
        now = timezone.now()
        if request.method == "POST":
            chosen = set(request.POST.getlist("chosen"))
            try:
                written = import_prices(chosen=chosen, matches={}, now=now, reason=reason_of(request))
            except ApiError as refused:
                messages.error(request, refused.message)
                return HttpResponseRedirect(reverse("admin:providers_provider_prices"))
            messages.success(request, f"{len(written)} price{'' if len(written) == 1 else 's'} added; none was changed.")
            if len(written) < len(chosen):
                messages.warning(request, f"{len(chosen) - len(written)} had changed since you looked; look again.")
            return HttpResponseRedirect(reverse("admin:providers_provider_prices"))
        changes = compare_with_list(matches={}, now=now)
        site: dict[str, Any] = self.admin_site.each_context(request)  # type: ignore[attr-defined]  # a mixin
        context = {
            "title": "Prices by the public list",
            "source": source(),
            "changes": [change for change in changes if change.is_change],
            "others": [change for change in changes if not change.is_change],
        }
        return TemplateResponse(request, "providers/price_list.html", site | context)
