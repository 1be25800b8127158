"""Find endpoints and deliveries of a workspace."""

from datetime import datetime
from uuid import UUID

from django.db.models import Count, Min, Prefetch, QuerySet

from apps.lib.http_errors import ApiError
from apps.lib.ids import parse_public_id
from apps.webhooks.models import DELIVERY_PREFIX, ENDPOINT_PREFIX, OPEN_STATES, Attempt, Delivery, Endpoint


def endpoints_of(workspace_id: UUID) -> QuerySet[Endpoint]:
    """A workspace's endpoints, those that are switched off included."""
    return Endpoint.objects.filter(workspace_id=workspace_id)


def deliveries_of(workspace_id: UUID) -> QuerySet[Delivery]:
    """A workspace's deliveries, with their events and attempts."""
    attempts = Prefetch("attempts", Attempt.objects.order_by("number", "id"))
    return Delivery.objects.filter(endpoint__workspace_id=workspace_id).select_related("event", "endpoint").prefetch_related(attempts)


def find_endpoint(*, workspace_id: UUID, public_id: str) -> Endpoint:
    """The workspace's endpoint; ApiError 404 when there is none, told no differently for another workspace's."""
    endpoint_id = parse_public_id(ENDPOINT_PREFIX, public_id)
    endpoint = endpoints_of(workspace_id).filter(id=endpoint_id).first() if endpoint_id else None
    if endpoint is None:
        raise no_such_endpoint(public_id)
    return endpoint


def find_delivery(*, workspace_id: UUID, public_id: str) -> Delivery:
    """The workspace's delivery; ApiError 404 when there is none."""
    delivery_id = parse_public_id(DELIVERY_PREFIX, public_id)
    delivery = deliveries_of(workspace_id).filter(id=delivery_id).first() if delivery_id else None
    if delivery is None:
        raise no_such_delivery(public_id)
    return delivery


def measure_backlog(*, now: datetime) -> tuple[int, float]:
    """(deliveries that are still to be accepted, seconds that the oldest of them has been due); endpoints that rest count, too."""
    found = Delivery.objects.filter(state__in=OPEN_STATES).aggregate(number=Count("id"), oldest=Min("due_at"))
    overdue = (now - found["oldest"]).total_seconds() if found["oldest"] else 0
    return found["number"], max(0.0, overdue)


def no_such_endpoint(name: str) -> ApiError:
    """The refusal for an id that the caller has no endpoint for."""
    return ApiError(404, "not_found", f"No such webhook endpoint: {name[:100]!r}.")


def no_such_delivery(name: str) -> ApiError:
    """The refusal for an id that the caller has no delivery for."""
    return ApiError(404, "not_found", f"No such delivery: {name[:100]!r}.")
