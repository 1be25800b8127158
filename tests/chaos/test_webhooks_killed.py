"""A worker killed while it delivers: the delivery goes out again from another, under the same id."""

import pytest
from django.utils import timezone

from apps.lib.enqueue import enqueue
from apps.webhooks.models import Attempt, Delivery, DeliveryState
from tests.chaos.workers import until, worker
from tests.factories.webhooks import make_endpoint, publish
from tests.webhooks.receivers import opened, receiving

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.chaos, pytest.mark.timeout(900)]


def ring() -> None:
    """As beat does."""
    enqueue("webhooks.deliver", queue="control")


def test_a_worker_killed_while_it_delivers_costs_delay_and_no_event() -> None:
    with receiving() as receiver, opened(receiver):
        settings = {"WEBHOOKS_PORTS": str(receiver.port), "WEBHOOKS_PRIVATE_NETWORKS": "127.0.0.1/32", "WEBHOOKS_HTTP": "true"}
        make_endpoint(url=receiver.url)
        receiver.gate.clear()
        with worker("control", **settings) as process:
            publish()
            assert receiver.arrived.acquire(timeout=240)
            process.kill()
            process.wait(240)
        assert Delivery.objects.get().state == DeliveryState.SENDING
        receiver.gate.set()
        # A minute later, without waiting for it.
        Delivery.objects.update(lease_until=timezone.now())
        with worker("control", **settings):
            until(lambda: Delivery.objects.get().state == DeliveryState.DELIVERED, "it was delivered", meanwhile=ring)
    assert len({got.id for got in receiver.got}) == 1
    assert len(receiver.got) == 2
    assert [attempt.status for attempt in Attempt.objects.order_by("number")] == [None, 204]
