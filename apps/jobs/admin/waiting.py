"""What waits, by model: a page of its own, and a part of the page that shows how providers stand."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path

from apps.accounts.queries import workspaces_of
from apps.jobs.actions import report_waiting


class WaitingPages:
    """For the admin of items: `waiting/`."""

    def get_urls(self) -> list[Any]:
        return [
            path("waiting/", self.admin_site.admin_view(self.waiting), name="jobs_item_by_model"),  # type: ignore[attr-defined]  # a mixin
            *super().get_urls(),  # type: ignore[misc]  # a mixin
        ]

    def waiting(self, request: HttpRequest) -> HttpResponse:
        """Renews itself every few seconds."""
        context = {"title": "What waits, by model", "work": report_waiting(workspace_ids=workspaces_of(request.user))}
        site = self.admin_site.each_context(request)  # type: ignore[attr-defined]  # a mixin
        return TemplateResponse(request, "jobs/waiting.html", site | context)
