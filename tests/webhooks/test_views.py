"""`/api/webhooks`: register, change, try, look, replay; secrets told once, foreign rows unknown."""

import json
from typing import Any

import pytest
from django.test import Client
from structlog.testing import capture_logs

from apps.accounts.domain.keys import Scope
from apps.accounts.models import AuditEntry
from apps.lib.sealing import unseal
from apps.webhooks import actions
from apps.webhooks.models import Delivery, DeliveryState, Endpoint
from tests.factories.accounts import make_client, make_workspace
from tests.factories.webhooks import URL, make_delivery, make_endpoint, publish
from tests.webhooks.receivers import Clock, opened, receiving

pytestmark = pytest.mark.django_db


def send(client: Client, method: str, path: str, body: object = None) -> Any:
    return client.generic(method, path, json.dumps(body), content_type="application/json")


def create(client: Client, **values: Any) -> Any:
    return send(client, "POST", "/api/webhooks", {"name": "back end", "url": URL} | values)


def test_an_endpoint_is_made_and_its_secret_told_once(settings: Any) -> None:
    client = make_client()
    with capture_logs() as logs:
        answer = create(client)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (201, "no-store")
    made = answer.json()
    secret = made.pop("secret")
    assert (made["name"], made["url"], made["enabled"], made["failing_since"]) == ("back end", URL, True, None)
    assert made["events"] == ["batch.cancelled", "batch.completed", "batch.expired", "batch.failed"]
    row = Endpoint.objects.get()
    assert unseal(row.secret_sealed, keys=settings.ENCRYPTION_KEYS, owner=row.seal_owner) == secret
    for path in ("/api/webhooks", f"/api/webhooks/{made['id']}"):
        shown = client.get(path).content.decode()
        assert made["id"] in shown
        assert "secret" not in shown.replace("previous_secret_until", "")
    told = f"{logs} {list(AuditEntry.objects.values())} {row.secret_sealed}"
    assert secret not in told
    assert secret.removeprefix("whsec_") not in told


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        *(
            ({"name": ""}, "name"),
            ({"name": "x" * 101}, "name"),
            ({"url": ""}, "url"),
            ({"url": None}, "url"),
            ({"url": "ftp://a.b/"}, "url"),
        ),
        *(
            ({"url": "http://hooks.example.com/"}, "url"),
            ({"url": "https://127.0.0.1/"}, "url"),
            ({"url": "https://u:p@example.com/"}, "url"),
        ),
        *(({"url": "https://hooks.example.com:22/"}, "url"), ({"events": []}, "events"), ({"events": ["all"]}, "events.0")),
        *(({"events": "batch.completed"}, "events"), ({"events": ["webhook.test"]}, "events.0")),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(changes: dict[str, Any], param: str) -> None:
    client = make_client()
    answer = create(client, **changes)
    assert (answer.status_code, answer.json()["param"]) == (400, param)
    made = create(client).json()
    answer = send(client, "PATCH", f"/api/webhooks/{made['id']}", changes)
    assert (answer.status_code, answer.json()["param"]) == (400, param)


def test_an_endpoint_is_changed_in_part_and_written_down() -> None:
    client = make_client()
    made = create(client).json()
    answer = send(client, "PATCH", f"/api/webhooks/{made['id']}", {"events": ["batch.failed"], "enabled": False})
    assert answer.status_code == 200
    assert (answer.json()["events"], answer.json()["enabled"], answer.json()["url"]) == (["batch.failed"], False, URL)
    entry = AuditEntry.objects.get(verb="changed")
    assert set(entry.changes) == {"events", "is_enabled"}
    assert send(client, "PATCH", f"/api/webhooks/{made['id']}", {}).status_code == 200
    assert AuditEntry.objects.filter(verb="changed").count() == 1


def test_switched_off_what_waits_is_given_up_and_switched_on_it_begins_anew() -> None:
    client = make_client()
    endpoint = make_endpoint(failures=7, switched_off_because="It failed.")
    delivery = make_delivery(endpoint=endpoint)
    send(client, "PATCH", f"/api/webhooks/{endpoint.public_id}", {"enabled": False})
    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.CANCELLED
    for path in (f"/api/webhooks/{endpoint.public_id}/test", f"/api/deliveries/{delivery.public_id}/replay"):
        answer = client.post(path)
        assert (answer.status_code, answer.json()["code"]) == (409, "endpoint_disabled")
    send(client, "PATCH", f"/api/webhooks/{endpoint.public_id}", {"enabled": True})
    endpoint.refresh_from_db()
    assert (endpoint.failures, endpoint.switched_off_because) == (0, "")


def test_the_log_shows_each_attempt_and_a_replay_follows() -> None:
    client = make_client()
    with receiving(status=500, content=b"out of order") as receiver, opened(receiver):
        endpoint = make_endpoint(url=receiver.url)
        subject = publish()
        actions.deliver(clock=Clock())
        (listed,) = client.get(f"/api/webhooks/{endpoint.public_id}/deliveries").json()["data"]
        assert (listed["state"], listed["type"], listed["webhook_id"]) == ("waiting", "batch.completed", endpoint.public_id)
        assert json.loads(listed["payload"])["data"] == {"id": f"batch_{subject.hex}"}
        assert [(entry["status"], entry["answer"]) for entry in listed["attempts"]] == [(500, "out of order")]
        receiver.status = 200
        answer = client.post(f"/api/deliveries/{listed['id']}/replay")
        assert (answer.status_code, answer.json()["state"]) == (200, "waiting")
        actions.deliver(clock=Clock())
        shown = client.get(f"/api/deliveries/{listed['id']}").json()
    assert (shown["state"], [entry["status"] for entry in shown["attempts"]]) == ("delivered", [500, 200])
    assert {got.id for got in receiver.got} == {shown["event_id"]}


def test_what_is_being_sent_is_not_replayed() -> None:
    delivery = make_delivery(state=DeliveryState.SENDING)
    answer = make_client().post(f"/api/deliveries/{delivery.public_id}/replay")
    assert (answer.status_code, answer.json()["code"]) == (409, "invalid_state")


def test_a_rotated_secret_is_told_once_and_the_old_one_has_a_day() -> None:
    client = make_client()
    made = create(client).json()
    answer = client.post(f"/api/webhooks/{made['id']}/rotate")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert answer.json()["secret"] != made["secret"]
    assert answer.json()["previous_secret_until"]
    assert AuditEntry.objects.get(verb="rotated secret").changes == {}


def test_a_test_event_is_due_at_once_also_for_one_that_rests() -> None:
    endpoint = make_endpoint(failures=9, rests_until=Clock()())
    answer = make_client().post(f"/api/webhooks/{endpoint.public_id}/test")
    assert (answer.status_code, answer.json()["type"], answer.json()["state"]) == (200, "webhook.test", "waiting")
    endpoint.refresh_from_db()
    assert endpoint.rests_until is None


def test_a_deleted_endpoint_is_gone_with_its_deliveries() -> None:
    client = make_client()
    delivery = make_delivery()
    path = f"/api/webhooks/{delivery.endpoint.public_id}"
    assert client.delete(path).status_code == 204
    assert (client.get(path).status_code, client.delete(path).status_code) == (404, 404)
    assert not Delivery.objects.exists()
    assert AuditEntry.objects.get(verb="deleted").object_label == delivery.endpoint.name


def test_a_workspace_has_twenty_endpoints_at_most() -> None:
    client = make_client()
    for _ in range(20):
        make_endpoint()
    answer = create(client)
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_endpoints")


def test_others_endpoints_do_not_show() -> None:
    make_endpoint(make_workspace("others"))
    assert make_client().get("/api/webhooks").json()["data"] == []


def test_the_scope_admin_is_needed() -> None:
    client = make_client("acme", Scope.JOBS, Scope.BATCHES)
    assert client.get("/api/webhooks").status_code == 403
    assert create(client).status_code == 403


def test_lists_ask_the_database_as_often_for_many_as_for_few(django_assert_max_num_queries: Any) -> None:
    client, endpoint = make_client(), make_endpoint()
    for _ in range(12):
        make_delivery(endpoint=endpoint)
    client.get("/api/webhooks")
    with django_assert_max_num_queries(5):
        assert len(client.get(f"/api/webhooks/{endpoint.public_id}/deliveries").json()["data"]) == 12
