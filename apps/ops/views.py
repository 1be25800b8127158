"""`/healthz`, `/readyz`, `/metrics`: for load balancers, orchestrators and Prometheus; no secrets, no names."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

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
