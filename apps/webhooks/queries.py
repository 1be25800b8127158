"""Find endpoints, deliveries and alerts of a workspace."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from django.db.models import Count, Min, Prefetch, Q, QuerySet

from apps.accounts.queries import workspaces_for_submitting, workspaces_of
from apps.lib.http_errors import ApiError
from apps.lib.ids import parse_public_id
from apps.lib.sealed_columns import SealedColumn
from apps.webhooks.domain.alerts import Severity
from apps.webhooks.models import ALERT_PREFIX, DELIVERY_PREFIX, ENDPOINT_PREFIX, OPEN_STATES, Alert, Attempt, Delivery, Endpoint

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from apps.accounts.models import User

SEALED_COLUMNS = (SealedColumn(Endpoint, "secret_sealed"), SealedColumn(Endpoint, "previous_secret_sealed"))


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


def no_such_alert(name: str) -> ApiError:
    """The refusal for an id that the caller has no alert for."""
    return ApiError(404, "not_found", f"No such alert: {name[:100]!r}.")


def alerts_of(workspace_id: UUID) -> QuerySet[Alert]:
    """A workspace's alerts, those that are over included."""
    return Alert.objects.filter(workspace_id=workspace_id)


def find_alert(*, workspace_id: UUID, public_id: str) -> Alert:
    """The workspace's alert; ApiError 404 when there is none."""
    alert_id = parse_public_id(ALERT_PREFIX, public_id)
    alert = alerts_of(workspace_id).filter(id=alert_id).first() if alert_id else None
    if alert is None:
        raise no_such_alert(public_id)
    return alert


@dataclass(frozen=True, slots=True)
class Banner:
    """What stands at the top of every page of the back office: the worst alerts that nobody has taken on, and how many more there are."""

    alerts: list[Alert]
    more: int
    may_acknowledge: frozenset[UUID | None]


_SHOWN = 3
_MOST_COUNTED = 100


def read_banner(user: "User | AnonymousUser") -> Banner | None:
    """For somebody who may see them; None when there is nothing to tell. Superusers see the platform's own, too."""
    rows = Alert.objects.unattended()
    ids = workspaces_of(user)
    if ids is not None:
        rows = rows.filter(workspace_id__in=ids)
    found = list(rows.select_related("workspace").order_by("-id")[:_MOST_COUNTED])
    if not found:
        return None
    shown = sorted(found, key=lambda alert: -Severity(alert.severity).rank)[:_SHOWN]
    allowed: set[UUID | None] = {alert.workspace_id for alert in shown}
    if ids is not None:
        allowed &= set(workspaces_for_submitting(user).values_list("id", flat=True))
    return Banner(alerts=shown, more=len(found) - len(shown), may_acknowledge=frozenset(allowed))


def list_switched_off(*, since: datetime) -> list[Endpoint]:
    """Endpoints that were switched off by their failures since then, and that nobody has switched on again."""
    return list(Endpoint.objects.filter(is_enabled=False, updated_at__gt=since).exclude(switched_off_because="").order_by("id"))


def list_told(kind: str, *, since: datetime) -> dict[tuple[UUID | None, str], Alert]:
    """The newest alert for each fingerprint of a kind, with its workspace; of those that are open or were raised since then."""
    rows = Alert.objects.filter(Q(resolved_at=None) | Q(first_seen_at__gte=since), kind=kind).order_by("id")
    return {(alert.workspace_id, alert.fingerprint): alert for alert in rows}
