"""How providers stand at this moment: limits, breakers, errors, latency, money; and the switch that pauses one."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone

from apps.accounts.permissions import reason_of
from apps.lib.http_errors import ApiError
from apps.providers.actions import pause, resume
from apps.providers.domain.outcomes import CLASSES
from apps.providers.domain.transitions import WHATS
from apps.providers.models import Provider, Target
from apps.providers.queries import list_transitions, read_standings


class DeskPages:
    """For the admin of providers: `desk/`, and below it the switch of a provider or a target, which asks first."""

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view  # type: ignore[attr-defined]  # a mixin
        return [
            path("desk/", view(self.desk), name="providers_provider_desk"),
            path("desk/provider/<uuid:row_id>/", view(self.switch), {"kind": Provider}, name="providers_provider_switch"),
            path("desk/target/<uuid:row_id>/", view(self.switch), {"kind": Target}, name="providers_provider_switch_target"),
            *super().get_urls(),  # type: ignore[misc]  # a mixin
        ]

    def desk(self, request: HttpRequest) -> HttpResponse:
        """Renews itself every few seconds."""
        _require_superuser(request)
        standings = read_standings(now=timezone.now())
        happened = [(WHATS.get(row.what, row.what), row) for row in list_transitions()]
        context = {"title": "How providers stand", "standings": standings, "happened": happened, "classes": CLASSES}
        return TemplateResponse(request, "providers/desk.html", self._site(request) | context)

    def switch(self, request: HttpRequest, kind: type[Provider | Target], row_id: UUID) -> HttpResponse:
        """Pause what runs, resume what is paused."""
        _require_superuser(request)
        row: Any = get_object_or_404(kind, pk=row_id)
        if request.method == "POST":
            change, key = resume if row.paused_at else pause, "provider_id" if kind is Provider else "target_id"
            try:
                change(**{key: row_id}, now=timezone.now(), reason=reason_of(request, is_needed=False))
                messages.success(request, f"{row} {'goes on' if row.paused_at else 'is paused; calls in the air finish'}.")
            except ApiError as refused:
                messages.error(request, refused.message)
                return HttpResponseRedirect(request.path)
            return HttpResponseRedirect(reverse("admin:providers_provider_desk"))
        context = {"title": f"Resume {row}?" if row.paused_at else f"Pause {row}?", "row": row}
        return TemplateResponse(request, "providers/switch.html", self._site(request) | context)

    def _site(self, request: HttpRequest) -> dict[str, Any]:
        context: dict[str, Any] = self.admin_site.each_context(request)  # type: ignore[attr-defined]  # a mixin
        return context


def _require_superuser(request: HttpRequest) -> None:
    if not request.user.is_superuser:
        raise PermissionDenied("Providers belong to the whole platform: superusers alone see them.")
