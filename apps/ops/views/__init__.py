"""`/healthz`, `/readyz` (no secrets, no names) and `/metrics` for machines, and the back office's home page for people."""

from ipaddress import ip_address
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from apps.accounts.actions import authenticate_key
from apps.accounts.domain.keys import Scope
from apps.accounts.permissions import reason_of, require_scope
from apps.accounts.queries import may_delete_workspace, read_workspace, workspaces_for_submitting, workspaces_of
from apps.jobs.queries import count_open_jobs
from apps.lib.clock import current_time
from apps.lib.http_errors import ApiError
from apps.ops.actions.delete_workspace import DeletionRefusedError, delete_workspace
from apps.ops.queries.dashboard import read_dashboard
from apps.ops.queries.health import check_readiness
from apps.ops.queries.metrics import PlatformCollector
from apps.ops.queries.workspace_contents import count_contents

_registry = CollectorRegistry(auto_describe=False)
_registry.register(PlatformCollector())


@require_safe
async def healthz(_request: HttpRequest) -> JsonResponse:
    """Alive: this process answers."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(_request: HttpRequest) -> JsonResponse:
    """Able to work, or 503 with what is not."""
    checks = check_readiness()
    is_ready = all(check.is_ok for check in checks)
    content = {
        "status": "ok" if is_ready else "unavailable",
        "failing": [check.name for check in checks if not check.is_ok],
        "checks": {check.name: check.detail for check in checks},
    }
    return JsonResponse(content, status=200 if is_ready else 503)


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus' text format, for this machine, and from elsewhere for keys that may see what all workspaces share."""
    if not _is_from_here(request):
        address = request.META.get("REMOTE_ADDR", "")
        key = authenticate_key(request.headers.get("Authorization"), now=current_time(), address=address)
        require_scope(key, Scope.PLATFORM)
    return HttpResponse(generate_latest(_registry), content_type=CONTENT_TYPE_LATEST)


def _is_from_here(request: HttpRequest) -> bool:
    """Asked by a process of this machine, not by a proxy on it for somebody else."""
    if {"X-Forwarded-For", "Forwarded"} & set(request.headers):
        return False
    try:
        return ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Adds to the context of the back office's home page (unfold calls it)."""
    now = timezone.now()
    day_began_at = now.replace(hour=0, minute=0, second=0, microsecond=0)
    shown = read_dashboard(workspace_ids=workspaces_of(request.user), day_began_at=day_began_at, now=now)
    may_submit = workspaces_for_submitting(request.user).exists()
    return context | shown | {"flower_url": settings.FLOWER_URL, "may_submit": may_submit}


def erase_workspace(request: HttpRequest, workspace_id: UUID) -> HttpResponse:
    """The question before a workspace is deleted, for its owners and superusers; and the deletion."""
    if not may_delete_workspace(request.user, workspace_id):
        raise Http404("There is no workspace of yours with this id.")
    refused = ""
    if request.method == "POST":
        try:
            delete_workspace(
                workspace_id=workspace_id,
                name=request.POST.get("name", ""),
                cancels_jobs="cancels_jobs" in request.POST,
                now=timezone.now(),
                reason=reason_of(request),
            )
        except (DeletionRefusedError, ApiError) as error:
            refused = str(error)
        else:
            messages.success(request, "The workspace is closed; what belongs to it is erased in the background.")
            return HttpResponseRedirect(reverse("admin:accounts_workspace_changelist"))
    context = admin.site.each_context(request) | {
        "title": "Delete this workspace?",
        "workspace": read_workspace(workspace_id),
        "contents": list(count_contents(workspace_id).items()),
        "open_jobs": count_open_jobs(workspace_id),
        "refused": refused,
    }
    return TemplateResponse(request, "ops/erase_workspace.html", context)
