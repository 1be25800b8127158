"""Send on demand: an event for trying an endpoint out, or a delivery once more."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.accounts.actions import record_audit
from apps.lib.enqueue import enqueue
from apps.lib.http_errors import GIVE_UP, ApiError
from apps.lib.ids import public_id, uuid7
from apps.webhooks.actions.lock_endpoint import lock_endpoint, record_endpoint_change, refuse_switched_off
from apps.webhooks.domain.events import TEST_EVENT, write_payload
from apps.webhooks.models import EVENT_PREFIX, Delivery, DeliveryState, Endpoint, Event
from apps.webhooks.queries import no_such_delivery


@transaction.atomic
def send_test(*, workspace_id: UUID, endpoint_id: UUID, now: datetime) -> Delivery:
    """A `webhook.test` event for this endpoint alone, delivered like any other; ApiError 409 when it is switched off."""
    endpoint = lock_endpoint(workspace_id=workspace_id, endpoint_id=endpoint_id)
    if not endpoint.is_enabled:
        raise refuse_switched_off()
    event_id = uuid7()
    payload = write_payload(
        event_id=public_id(EVENT_PREFIX, event_id), event_type=TEST_EVENT, created_at=now, data={"id": endpoint.public_id}
    )
    event = Event.objects.create(
        id=event_id, workspace_id=workspace_id, type=TEST_EVENT, subject_id=endpoint.id, payload=payload, created_at=now
    )
    delivery = Delivery.objects.create(event=event, endpoint=endpoint, due_at=now, created_at=now)
    record_endpoint_change(endpoint, "tested")
    _hurry(endpoint)
    return delivery


@transaction.atomic
def send_again(*, workspace_id: UUID, delivery_id: UUID, now: datetime, reason: str = "") -> Delivery:
    """The same event under the same id, now and by the whole schedule anew.

    ApiError 404 for an unknown delivery, 409 while it is being sent or its endpoint is switched off.
    """
    found = Delivery.objects.filter(id=delivery_id, endpoint__workspace_id=workspace_id).values_list("endpoint_id", flat=True).first()
    if found is None:
        raise no_such_delivery(str(delivery_id))
    endpoint = lock_endpoint(workspace_id=workspace_id, endpoint_id=found)
    delivery = Delivery.objects.select_for_update(no_key=True).select_related("event").get(id=delivery_id)
    if not endpoint.is_enabled:
        raise refuse_switched_off()
    if delivery.state == DeliveryState.SENDING:
        raise ApiError(409, "invalid_state", "This delivery is being sent at this moment.", headers=GIVE_UP)
    before = delivery.state
    delivery.state, delivery.due_at, delivery.tries, delivery.ended_at = DeliveryState.WAITING, now, 0, None
    delivery.save(update_fields=["state", "due_at", "tries", "ended_at"])
    record_audit(
        verb="sent again",
        object_type="webhook delivery",
        object_id=delivery.id,
        object_label=f"{delivery.event} to {endpoint}",
        workspace_id=workspace_id,
        before={"state": before},
        after={"state": delivery.state},
        reason=reason,
    )
    _hurry(endpoint)
    return delivery


def _hurry(endpoint: Endpoint) -> None:
    """Somebody looks on: an endpoint that rests after failures is asked all the same."""
    if endpoint.rests_until is not None:
        endpoint.rests_until = None
        endpoint.save(update_fields=["rests_until"])
    enqueue("webhooks.deliver", queue="control")
