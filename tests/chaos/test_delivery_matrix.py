"""A worker killed, stopped or broken at each point of a delivery: the event arrives, always under one id, and is recorded once."""

from contextlib import ExitStack
from pathlib import Path

import pytest
from django.utils import timezone

from apps.lib.enqueue import enqueue
from apps.lib.failpoints import POINTS, VARIABLE
from apps.webhooks.models import Attempt, Delivery, DeliveryState
from tests.chaos.points import Points
from tests.chaos.tables import note
from tests.chaos.workers import until, worker
from tests.factories.webhooks import make_endpoint, publish
from tests.webhooks.receivers import opened, receiving

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.chaos, pytest.mark.long, pytest.mark.timeout(900)]


def ring() -> None:
    """As beat does."""
    enqueue("webhooks.deliver", queue="control")


def end_leases() -> None:
    """A minute later, without waiting for it."""
    Delivery.objects.filter(state=DeliveryState.SENDING).update(lease_until=timezone.now())
    ring()


def is_delivered() -> bool:
    return Delivery.objects.get().state == DeliveryState.DELIVERED


@pytest.mark.parametrize("action", ["kill", "stop", "raise"])
@pytest.mark.parametrize("point", [point for point in POINTS if point.startswith("deliver.")])
def test_an_event_arrives_under_one_id(point: str, action: str, tmp_path: Path) -> None:
    points = Points(tmp_path)
    with receiving() as receiver, opened(receiver), ExitStack() as workers:
        settings = {"WEBHOOKS_PORTS": str(receiver.port), "WEBHOOKS_PRIVATE_NETWORKS": "127.0.0.1/32", "WEBHOOKS_HTTP": "true"}
        make_endpoint(url=receiver.url)
        first = workers.enter_context(worker("control", **settings, **{VARIABLE: str(tmp_path)}))
        points.arm(point, action)
        publish()
        until(lambda: points.has_fired(point), f"{point} was passed", meanwhile=ring)
        if action == "kill":
            first.wait(30)
        if action != "raise":
            workers.enter_context(worker("control", **settings))
        until(is_delivered, "it was delivered", meanwhile=end_leases)
        if action == "stop":
            points.let_go_on(point, is_delivered, after_seconds=0, meanwhile=ring)
            until(lambda: not Delivery.objects.filter(state=DeliveryState.SENDING).exists(), "the late one has given up", meanwhile=ring)
    delivery = Delivery.objects.get()
    sent = len(receiver.got)
    note("Deliveries", ("point", "action", "events", "posts", "ids"), (point, action, 1, sent, len({got.id for got in receiver.got})))
    assert len({got.id for got in receiver.got}) == 1
    assert 1 <= sent <= 2
    assert (delivery.state, delivery.attempts_made) == (DeliveryState.DELIVERED, Attempt.objects.count())
    assert Attempt.objects.filter(status=204).count() == 1
