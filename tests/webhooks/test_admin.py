"""Webhooks in the back office: owners register and see the secret once; everybody sees what was delivered; sent again by a button."""

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.models import AuditEntry, Role
from apps.lib.sealing import unseal
from apps.webhooks import actions
from apps.webhooks.models import Attempt, Delivery, DeliveryState, Endpoint
from tests.factories.accounts import make_office_client, make_user, make_workspace
from tests.factories.webhooks import URL, make_delivery, make_endpoint
from tests.webhooks.receivers import Clock, opened, receiving

pytestmark = pytest.mark.django_db


def page(name: str, *arguments: Any) -> str:
    return reverse(f"admin:webhooks_{name}", args=arguments)


def add(client: Client, **values: Any) -> Any:
    form = {"workspace": make_workspace().pk, "name": "back end", "url": URL, "events": ["batch.completed", "batch.failed"]}
    return client.post(page("endpoint_add"), form | values)


def test_the_page_for_a_new_one_asks_for_little_and_warns_of_nothing() -> None:
    told = shown(make_office_client().get(page("endpoint_add")))
    assert "batch.expired" in told
    assert "Switched off" not in told


def shown(answer: Any) -> str:
    return " ".join(answer.content.decode().split())


def test_an_owner_registers_an_endpoint_and_sees_the_secret_once(settings: Any) -> None:
    client = make_office_client(make_user(acme=Role.OWNER))
    answer = add(client)
    secret = re.findall(r'value="(whsec_[^"]+)"', shown(answer))[0]
    endpoint = Endpoint.objects.get()
    assert unseal(endpoint.secret_sealed, keys=settings.ENCRYPTION_KEYS, owner=endpoint.seal_owner) == secret
    assert (endpoint.events, endpoint.is_enabled) == (["batch.completed", "batch.failed"], True)
    assert "no-store" in answer.headers["Cache-Control"]
    for path in (page("endpoint_change", endpoint.pk), page("endpoint_changelist")):
        assert "whsec_" not in shown(client.get(path))
    assert "back end" in shown(client.get(page("endpoint_changelist")))


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://hooks.example.com/", "must begin with https://"),
        ("https://192.168.1.1/", "not on the public internet"),
        ("https://hooks.example.com:6379/", "port must be"),
    ],
)
def test_an_address_that_must_not_be_asked_is_refused_in_the_form(url: str, told: str) -> None:
    answer = add(make_office_client(), url=url)
    assert answer.status_code == 200
    assert told in shown(answer)
    assert not Endpoint.objects.exists()


def test_one_too_many_is_refused_in_the_form() -> None:
    client = make_office_client()
    for _ in range(20):
        make_endpoint()
    assert "at most 20" in shown(add(client))


def test_an_owner_changes_deletes_and_replaces_the_secret() -> None:
    client = make_office_client(make_user(acme=Role.OWNER))
    endpoint = make_delivery().endpoint
    form = {"name": "renamed", "url": URL + "/v2", "events": ["batch.failed"]}
    assert client.post(page("endpoint_change", endpoint.pk), form).status_code == 302
    endpoint.refresh_from_db()
    assert (endpoint.name, endpoint.url, endpoint.events, endpoint.is_enabled) == ("renamed", URL + "/v2", ["batch.failed"], False)
    assert Delivery.objects.get().state == DeliveryState.CANCELLED
    assert "Switched off." in shown(client.get(page("endpoint_change", endpoint.pk)))
    assert "24 hours" in shown(client.get(page("endpoint_rotate", endpoint.pk)))
    assert "whsec_" in shown(client.post(page("endpoint_rotate", endpoint.pk)))
    assert "with its deliveries" in shown(client.get(page("endpoint_delete", endpoint.pk)))
    client.post(page("endpoint_delete", endpoint.pk), {"post": "yes"})
    assert not Endpoint.objects.exists()
    assert list(AuditEntry.objects.order_by("id").values_list("verb", flat=True)) == ["created", "changed", "rotated secret", "deleted"]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MEMBER])
def test_others_only_look_at_endpoints(role: Role) -> None:
    client = make_office_client(make_user(acme=role))
    endpoint = make_endpoint()
    told = shown(client.get(page("endpoint_change", endpoint.pk)))
    assert URL in told
    assert "Send a test event" not in told
    before = Endpoint.objects.values().get()
    for name in ("endpoint_test", "endpoint_rotate"):
        answer = client.post(page(name, endpoint.pk), follow=True)
        assert "Only owners" in shown(answer)
    assert (Endpoint.objects.values().get(), Delivery.objects.count()) == (before, 0)


def test_a_test_event_is_sent_and_its_page_tells_what_came() -> None:
    client = make_office_client()
    with receiving(status=500, content=b"<b>down</b> for repairs") as receiver, opened(receiver):
        endpoint = make_endpoint(url=receiver.url)
        answer = client.post(page("endpoint_test", endpoint.pk), follow=True)
        assert "on its way" in shown(answer)
        assert "No attempt has ended yet" in shown(answer)
        actions.deliver(clock=Clock())
    told = shown(client.get(answer.redirect_chain[-1][0]))
    assert "webhook.test" in told
    assert "&lt;b&gt;down&lt;/b&gt; for repairs" in told
    assert "1 time in a row" in shown(client.get(page("endpoint_change", endpoint.pk)))
    assert "failing" in shown(client.get(page("endpoint_changelist")))


def test_a_member_sends_a_delivery_again_and_says_why() -> None:
    client = make_office_client(make_user(acme=Role.MEMBER))
    delivery = make_delivery(state=DeliveryState.FAILED, tries=10)
    assert "Send again" in shown(client.get(page("delivery_change", delivery.pk)))
    client.post(page("delivery_again", delivery.pk), {"reason": "they lost it"})
    delivery.refresh_from_db()
    assert (delivery.state, delivery.tries) == (DeliveryState.WAITING, 0)
    assert AuditEntry.objects.get(verb="sent again").reason == "they lost it"


def test_what_cannot_be_sent_again_says_why() -> None:
    client = make_office_client()
    delivery = make_delivery(state=DeliveryState.FAILED)
    Endpoint.objects.update(is_enabled=False)
    assert "switched off" in shown(client.post(page("delivery_again", delivery.pk), follow=True))
    assert "switched off" in shown(client.post(page("endpoint_test", delivery.endpoint_id), follow=True))
    viewer = make_office_client(make_user("grace", acme=Role.VIEWER))
    assert "only lets you look" in shown(viewer.post(page("delivery_again", delivery.pk), follow=True))


def test_a_delivery_is_found_by_the_batch_that_it_tells_of() -> None:
    client = make_office_client()
    delivery, other = make_delivery(), make_delivery()
    for term in (f"batch_{delivery.event.subject_id.hex}", delivery.public_id, delivery.event.public_id):
        answer = client.get(page("delivery_changelist"), {"q": term})
        assert [row.pk for row in answer.context["cl"].result_list] == [delivery.pk]
    assert other.pk != delivery.pk


def test_pages_without_rows_say_what_to_do() -> None:
    client = make_office_client()
    assert "No endpoint here yet" in shown(client.get(page("endpoint_changelist")))
    assert "Deliveries appear when" in shown(client.get(page("delivery_changelist")))


def test_attempts_are_shown_in_their_order() -> None:
    delivery = make_delivery()
    for number in (2, 1, 3):
        Attempt.objects.create(delivery=delivery, number=number, sent_at=Clock()(), status=500, duration_seconds=0.5)
    told = shown(make_office_client().get(page("delivery_change", delivery.pk)))
    assert re.findall(r"<tr><td>(\d)</td>", told) == ["1", "2", "3"]
