"""What receivers get is verified by the official package of Standard Webhooks, also while the secret is being changed."""

import json
from datetime import timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from apps.webhooks import actions
from apps.webhooks.actions import rotate_secret
from apps.webhooks.domain.events import EventType
from apps.webhooks.domain.signatures import make_secret
from apps.webhooks.models import Endpoint, Event
from tests.factories.webhooks import make_endpoint_with_secret, publish
from tests.webhooks.receivers import Clock, Delivered, Receiver

pytestmark = pytest.mark.django_db


def next_delivery(receiver: Receiver) -> Delivered:
    """One more event, as it came over HTTP."""
    publish()
    assert actions.deliver(clock=Clock()) == 1
    return receiver.got[-1]


def verifies(secret: str, got: Delivered) -> bool:
    try:
        Webhook(secret).verify(got.body, got.headers)
    except WebhookVerificationError:
        return False
    return True


@pytest.mark.parametrize("event_type", EventType)
def test_the_package_verifies_what_comes_and_reads_it(event_type: EventType, receiver: Receiver) -> None:
    _, secret = make_endpoint_with_secret(url=receiver.url)
    subject = publish(event_type=event_type)
    assert actions.deliver(clock=Clock()) == 1
    (got,) = receiver.got
    told = Webhook(secret).verify(got.body, got.headers)
    assert told == json.loads(Event.objects.get().payload)
    assert (told["type"], told["data"]["id"], got.id) == (event_type.value, f"batch_{subject.hex}", told["id"])


def test_what_was_tampered_with_or_is_old_is_refused(receiver: Receiver) -> None:
    _, secret = make_endpoint_with_secret(url=receiver.url)
    got = next_delivery(receiver)
    assert verifies(secret, got)
    assert not verifies(make_secret(), got)
    assert not verifies(secret, Delivered(got.headers, got.body.replace(b"batch_", b"batcx_")))
    assert not verifies(secret, Delivered(got.headers | {"webhook-id": "evt_other"}, got.body))
    earlier = str(int(got.headers["webhook-timestamp"]) - 301)
    assert not verifies(secret, Delivered(got.headers | {"webhook-timestamp": earlier}, got.body))


def test_during_a_rotation_the_package_verifies_with_either_secret_and_afterwards_with_the_new_one(receiver: Receiver) -> None:
    endpoint, old = make_endpoint_with_secret(url=receiver.url)
    now = Clock()()
    new = rotate_secret(workspace_id=endpoint.workspace_id, endpoint_id=endpoint.id, now=now).secret
    got = next_delivery(receiver)
    assert len(got.headers["webhook-signature"].split(" ")) == 2
    assert [verifies(secret, got) for secret in (old, new, make_secret())] == [True, True, False]
    # The day of the overlap has gone by.
    Endpoint.objects.filter(id=endpoint.id).update(previous_secret_until=now - timedelta(seconds=1))
    got = next_delivery(receiver)
    assert [verifies(secret, got) for secret in (old, new)] == [False, True]


def test_a_second_rotation_within_the_day_ends_the_oldest_secret(receiver: Receiver) -> None:
    endpoint, oldest = make_endpoint_with_secret(url=receiver.url)
    secrets = [rotate_secret(workspace_id=endpoint.workspace_id, endpoint_id=endpoint.id, now=Clock()()).secret for _ in range(2)]
    got = next_delivery(receiver)
    assert [verifies(secret, got) for secret in (oldest, *secrets)] == [False, True, True]
