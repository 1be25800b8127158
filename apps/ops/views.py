"""`/healthz`, `/readyz`, `/metrics` for machines (no secrets, no names), and the back office's home page for people."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from apps.accounts.queries import workspaces_for_submitting, workspaces_of
from apps.ops.queries.dashboard import read_dashboard
from apps.ops.queries.health import check_readiness
from apps.ops.queries.metrics import PlatformCollector

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
def metrics(_request: HttpRequest) -> HttpResponse:
    """Prometheus' text format."""
    return HttpResponse(generate_latest(_registry), content_type=CONTENT_TYPE_LATEST)


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Adds to the context of the back office's home page (unfold calls it)."""
    now = timezone.now()
    day_began_at = now.replace(hour=0, minute=0, second=0, microsecond=0)
    shown = read_dashboard(workspace_ids=workspaces_of(request.user), day_began_at=day_began_at, now=now)
    may_submit = workspaces_for_submitting(request.user).exists()
    return context | shown | {"flower_url": settings.FLOWER_URL, "may_submit": may_submit}
