"""Deliveries over real HTTP: signed, repeated by the schedule under one id, bounded, and never held up by another's receiver."""

import threading
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from openai import OpenAI
from openai.lib._webhooks import webhook_signature_matches

from apps.accounts.models import AuditEntry
from apps.webhooks import actions
from apps.webhooks.actions import claim_deliveries as claims
from apps.webhooks.domain.events import BATCH_EVENTS, EventType
from apps.webhooks.domain.schedule import PAUSES
from apps.webhooks.models import Attempt, Delivery, DeliveryState, Endpoint, Event
from tests.factories.accounts import make_workspace
from tests.factories.webhooks import make_endpoint, make_endpoint_with_secret, publish
from tests.webhooks.receivers import Clock, Receiver, opened, receiving

pytestmark = pytest.mark.django_db


def run_due(clock: Clock) -> int:
    return actions.deliver(clock=clock)


def run_until_quiet(clock: Clock) -> None:
    """Let the clock jump from one due moment to the next until no delivery waits any more."""
    while waiting := list(Delivery.objects.filter(state=DeliveryState.WAITING).order_by("due_at").values_list("due_at", flat=True)[:1]):
        rests = [until for until in Endpoint.objects.values_list("rests_until", flat=True) if until]
        clock.now = max([clock.now, *waiting, *rests]) + timedelta(seconds=1)
        run_due(clock)


def test_the_official_package_unwraps_what_comes(receiver: Receiver) -> None:
    endpoint, secret = make_endpoint_with_secret(url=receiver.url)
    subject = publish()
    assert run_due(Clock()) == 1
    (got,) = receiver.got
    event: Any = OpenAI(api_key="unused").webhooks.unwrap(got.body, got.headers, secret=secret)
    assert (event.type, event.object, event.data.id) == ("batch.completed", "event", f"batch_{subject.hex}")
    row = Event.objects.get()
    assert (event.id, got.id) == (row.public_id, row.public_id)
    assert got.body.decode() == row.payload
    assert got.headers["content-type"] == "application/json"
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.attempts_made, delivery.last_status) == (DeliveryState.DELIVERED, 1, 204)
    endpoint.refresh_from_db()
    assert endpoint.delivered_at is not None


@pytest.mark.parametrize("event_type", BATCH_EVENTS)
def test_each_of_openais_events_is_known_to_its_package(event_type: EventType, receiver: Receiver) -> None:
    _, secret = make_endpoint_with_secret(url=receiver.url)
    publish(event_type=event_type)
    run_due(Clock())
    event: Any = OpenAI(api_key="unused").webhooks.unwrap(receiver.got[0].body, receiver.got[0].headers, secret=secret)
    assert event.type == event_type.value
    assert type(event).__name__ == f"Batch{event_type.value.removeprefix('batch.').capitalize()}WebhookEvent"


def test_an_endpoint_gets_what_it_asked_for_of_its_own_workspace(receiver: Receiver) -> None:
    make_endpoint_with_secret(url=receiver.url, events=[EventType.BATCH_FAILED])
    off = make_endpoint(url=receiver.url)
    actions.change_endpoint(workspace_id=off.workspace_id, endpoint_id=off.id, changes={"is_enabled": False}, now=Clock()())
    publish(event_type=EventType.BATCH_COMPLETED)
    publish(make_workspace("other"), event_type=EventType.BATCH_FAILED)
    assert not Delivery.objects.exists()
    publish(event_type=EventType.BATCH_FAILED)
    assert run_due(Clock()) == 1
    assert Event.objects.count() == 3


def test_the_same_end_is_told_once(receiver: Receiver) -> None:
    make_endpoint(url=receiver.url)
    subject = publish()
    publish(subject_id=subject)
    publish(subject_id=subject, event_type=EventType.BATCH_CANCELLED)
    assert (Event.objects.count(), Delivery.objects.count()) == (1, 1)
    publish(subject_id=subject, occurrence=2)
    assert (Event.objects.count(), Delivery.objects.count()) == (2, 2)


def test_a_receiver_that_is_down_for_three_hours_gets_everything_under_constant_ids(receiver: Receiver) -> None:
    clock = Clock()
    receiver.status = 500
    make_endpoint(url=receiver.url)
    for _ in range(12):
        publish(now=clock())
    up_at = clock() + timedelta(hours=3)
    while clock() < up_at:
        run_due(clock)
        clock.forward(minutes=3)
    failed = [got.id for got in receiver.got]
    assert set(failed) <= {event.public_id for event in Event.objects.all()}
    assert Delivery.objects.filter(state=DeliveryState.WAITING).count() == 12
    receiver.status, receiver.got = 200, []
    run_until_quiet(clock)
    assert sorted(got.id for got in receiver.got) == sorted(event.public_id for event in Event.objects.all())
    assert Delivery.objects.filter(state=DeliveryState.DELIVERED).count() == 12
    bodies = {event.public_id: event.payload for event in Event.objects.all()}
    assert all(got.body.decode() == bodies[got.id] for got in receiver.got)


def test_tries_follow_the_schedule_and_end_with_it(receiver: Receiver) -> None:
    clock = Clock()
    receiver.status, receiver.content = 500, b"not \x00 today \xff" + b"x" * 5000
    make_endpoint(url=receiver.url)
    publish(now=clock())
    began = clock()
    run_due(clock)
    run_until_quiet(clock)
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.last_status, len(receiver.got)) == (DeliveryState.FAILED, 500, 10)
    attempts = list(Attempt.objects.order_by("number"))
    assert [attempt.number for attempt in attempts] == list(range(1, 11))
    pauses = [(later.sent_at - earlier.sent_at).total_seconds() for earlier, later in pairwise(attempts)]
    # From its fifth failure on the endpoint rests a minute.
    assert all(0.9 * wanted <= pause <= 1.1 * wanted + 62 for pause, wanted in zip(pauses, PAUSES[1:], strict=True))
    assert 60 < (delivery.ended_at or began).timestamp() / 3600 - began.timestamp() / 3600 < 85
    assert {(attempt.status, attempt.error) for attempt in attempts} == {(500, "")}
    assert attempts[0].answer == ("not \ufffd today \ufffd" + "x" * 5000)[:1000]
    assert all(attempt.duration_seconds is not None for attempt in attempts)
    assert len({got.id for got in receiver.got}) == 1
    assert len({got.headers["webhook-timestamp"] for got in receiver.got}) == 10


def test_410_switches_the_endpoint_off_and_says_so(receiver: Receiver) -> None:
    clock = Clock()
    receiver.status = 410
    endpoint = make_endpoint(url=receiver.url)
    for _ in range(5):
        publish(now=clock())
    run_due(clock)
    endpoint.refresh_from_db()
    assert (endpoint.is_enabled, endpoint.switched_off_because) == (False, "It answered 410 Gone: it wants no more events.")
    # Two were in the air at once; the rest was never sent.
    assert len(receiver.got) <= 2
    run_until_quiet(clock)
    assert set(Delivery.objects.values_list("state", flat=True)) == {"failed", "cancelled"}
    entry = AuditEntry.objects.get(verb="switched off")
    assert (entry.actor_kind, entry.object_id) == ("platform", str(endpoint.id))
    publish()
    assert Delivery.objects.count() == 5


def test_five_days_of_nothing_but_failures_switch_it_off(receiver: Receiver) -> None:
    clock = Clock()
    receiver.status = 500
    endpoint = make_endpoint(url=receiver.url)
    for _ in range(6):
        publish(now=clock())
        run_due(clock)
        clock.forward(days=1)
    endpoint.refresh_from_db()
    assert (endpoint.is_enabled, endpoint.switched_off_because) == (False, "It has done nothing but fail for 5 days.")


def test_a_success_in_between_keeps_it_on(receiver: Receiver) -> None:
    clock = Clock()
    endpoint = make_endpoint(url=receiver.url)
    for day in range(7):
        receiver.status = 200 if day == 3 else 500
        publish(now=clock())
        run_due(clock)
        clock.forward(days=1)
    endpoint.refresh_from_db()
    assert endpoint.is_enabled


def test_a_busy_receiver_is_left_alone_as_long_as_it_asks(receiver: Receiver) -> None:
    clock = Clock()
    receiver.status, receiver.headers = 429, {"Retry-After": "3600"}
    make_endpoint(url=receiver.url)
    publish(now=clock())
    run_due(clock)
    assert Delivery.objects.get().due_at == clock() + timedelta(hours=1)


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 404, 500])
def test_every_other_answer_is_tried_again(status: int, receiver: Receiver) -> None:
    receiver.status, receiver.headers = status, {"Location": "http://169.254.169.254/"}
    make_endpoint(url=receiver.url)
    publish()
    run_due(Clock())
    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.last_status, len(receiver.got)) == (DeliveryState.WAITING, status, 1)


def test_after_five_failures_the_endpoint_rests_and_is_then_asked_by_one(receiver: Receiver) -> None:
    clock = Clock()
    receiver.status = 500
    make_endpoint(url=receiver.url)
    for _ in range(20):
        publish(now=clock())
    run_due(clock)
    # Two at a time: the sixth may have been in the air when the fifth failed.
    assert len(receiver.got) in {5, 6}
    before = len(receiver.got)
    run_due(clock)
    clock.forward(seconds=59)
    run_due(clock)
    assert len(receiver.got) == before
    clock.forward(seconds=2)
    run_due(clock)
    assert len(receiver.got) == before + 1


def test_an_endpoint_gets_two_at_a_time(receiver: Receiver) -> None:
    make_endpoint(url=receiver.url)
    for _ in range(6):
        publish()
    first_two = threading.Barrier(2, timeout=120)
    receiver.before_answer = lambda: first_two.wait() if len(receiver.got) <= 2 else None
    assert run_due(Clock()) == 6
    assert receiver.most_in_hand == 2


def test_a_receiver_that_hangs_delays_no_other_endpoint(receiver: Receiver) -> None:
    """The hanging one is let go only once the other has had everything."""
    with receiving() as hanging, opened(receiver, hanging):
        hanging.gate.clear()
        slow, quick = make_workspace("slow"), make_workspace("quick")
        make_endpoint(slow, url=hanging.url)
        make_endpoint(quick, url=receiver.url)
        for _ in range(3):
            publish(slow)
        for _ in range(10):
            publish(quick)
        order: list[str] = []

        def open_gate_at_last() -> None:
            order.append("quick")
            if len(order) == 10:
                hanging.gate.set()

        receiver.before_answer = open_gate_at_last
        assert run_due(Clock()) == 13
    assert Delivery.objects.filter(state=DeliveryState.DELIVERED).count() == 13


def claim(now: Clock) -> list[Any]:
    return claims.claim_deliveries(now=now())


def test_claims_keep_to_the_limits_of_endpoint_workspace_and_platform(receiver: Receiver) -> None:
    clock = Clock()
    for number in range(6):
        workspace = make_workspace(f"w{number}")
        for _ in range(6):
            make_endpoint(workspace, url=receiver.url)
        for _ in range(3):
            publish(workspace, now=clock())
    first = claim(clock)
    assert len(first) == 32
    assert claim(clock) == []
    counts: dict[Any, int] = {}
    owners: dict[Any, int] = {}
    workspaces = dict(Endpoint.objects.values_list("id", "workspace_id"))
    for claimed in first:
        counts[claimed.endpoint_id] = counts.get(claimed.endpoint_id, 0) + 1
        owners[workspaces[claimed.endpoint_id]] = owners.get(workspaces[claimed.endpoint_id], 0) + 1
    assert max(counts.values()) <= 2
    assert sorted(owners.values()) == [5, 5, 5, 5, 6, 6]


def test_one_workspace_takes_eight_at_most(receiver: Receiver) -> None:
    clock = Clock()
    for _ in range(10):
        make_endpoint(url=receiver.url)
    publish(now=clock())
    publish(now=clock())
    assert [len(claim(clock)) for _ in range(3)] == [8, 0, 0]


def test_a_claim_whose_sender_is_lost_is_sent_again_after_its_lease(receiver: Receiver) -> None:
    clock = Clock()
    make_endpoint(url=receiver.url)
    publish(now=clock())
    (lost,) = claim(clock)
    assert run_due(clock) == 0
    clock.forward(seconds=61)
    assert run_due(clock) == 1
    assert receiver.got[0].id == lost.webhook_id
    assert [(attempt.number, attempt.status) for attempt in Attempt.objects.order_by("number")] == [(1, None), (2, 204)]
    assert "was lost" in Attempt.objects.get(number=1).error


def test_what_a_slow_sender_writes_too_late_is_not_taken(receiver: Receiver) -> None:
    from apps.lib.egress import EgressAnswer
    from apps.webhooks.actions.record_attempt import record_attempt

    clock = Clock()
    make_endpoint(url=receiver.url)
    publish(now=clock())
    (slow,) = claim(clock)
    clock.forward(seconds=61)
    assert run_due(clock) == 1
    answer = EgressAnswer(status=500, error="", body=b"", retry_after="", duration_seconds=70)
    record_attempt(slow, answer, sent_at=clock(), now=clock())
    assert Delivery.objects.get().state == DeliveryState.DELIVERED


def test_nothing_is_sent_to_an_endpoint_that_was_deleted(receiver: Receiver) -> None:
    clock = Clock()
    receiver.status = 500
    endpoint = make_endpoint(url=receiver.url)
    publish(now=clock())
    run_due(clock)
    actions.delete_endpoint(workspace_id=endpoint.workspace_id, endpoint_id=endpoint.id)
    clock.forward(days=1)
    assert run_due(clock) == 0
    assert (len(receiver.got), Delivery.objects.count(), Attempt.objects.count()) == (1, 0, 0)


def test_an_endpoint_deleted_while_it_is_being_sent_to_does_no_harm(receiver: Receiver) -> None:
    clock = Clock()
    endpoint = make_endpoint(url=receiver.url)
    publish(now=clock())
    (claimed,) = claim(clock)
    actions.delete_endpoint(workspace_id=endpoint.workspace_id, endpoint_id=endpoint.id)
    from apps.lib.egress import EgressAnswer
    from apps.webhooks.actions.record_attempt import record_attempt

    answer = EgressAnswer(status=200, error="", body=b"", retry_after="", duration_seconds=1)
    record_attempt(claimed, answer, sent_at=clock(), now=clock())
    assert not Attempt.objects.exists()


def test_both_secrets_verify_for_a_day_after_a_change(receiver: Receiver) -> None:
    clock = Clock()
    endpoint, old = make_endpoint_with_secret(url=receiver.url)
    new = actions.rotate_secret(workspace_id=endpoint.workspace_id, endpoint_id=endpoint.id, now=clock()).secret

    def verified() -> list[bool]:
        publish(now=clock())
        run_due(clock)
        got = receiver.got[-1]
        body, tolerance = got.body.decode(), 10**9
        return [webhook_signature_matches(body, got.headers, secret=secret, tolerance=tolerance) for secret in (old, new)]

    assert verified() == [True, True]
    clock.forward(hours=23)
    assert verified() == [True, True]
    clock.forward(hours=2)
    assert verified() == [False, True]
    actions.forget_events(now=clock())
    endpoint.refresh_from_db()
    assert (endpoint.previous_secret_sealed, endpoint.previous_secret_until) == ("", None)


def test_a_replay_comes_under_the_same_id_and_is_written_down(receiver: Receiver) -> None:
    clock = Clock()
    make_endpoint(url=receiver.url)
    publish(now=clock())
    run_due(clock)
    delivery = Delivery.objects.get()
    actions.send_again(workspace_id=make_workspace().id, delivery_id=delivery.id, now=clock(), reason="lost by us")
    assert run_due(clock) == 1
    first, second = receiver.got
    assert (first.id, first.body) == (second.id, second.body)
    delivery.refresh_from_db()
    assert (delivery.state, delivery.tries, delivery.attempts_made) == (DeliveryState.DELIVERED, 1, 2)
    assert AuditEntry.objects.get(verb="sent again").reason == "lost by us"


def test_a_test_event_goes_to_its_endpoint_alone(receiver: Receiver) -> None:
    endpoint, secret = make_endpoint_with_secret(url=receiver.url)
    make_endpoint(url=receiver.url)
    actions.send_test(workspace_id=endpoint.workspace_id, endpoint_id=endpoint.id, now=Clock()())
    assert run_due(Clock()) == 1
    (got,) = receiver.got
    event: Any = OpenAI(api_key="unused").webhooks.unwrap(got.body, got.headers, secret=secret)
    assert (event.type, event.data.id) == ("webhook.test", endpoint.public_id)


def test_a_secret_that_cannot_be_opened_is_a_failure_that_is_told(receiver: Receiver) -> None:
    make_endpoint(url=receiver.url, secret_sealed="gone:AAAA")
    publish()
    run_due(Clock())
    assert (Delivery.objects.get().last_error, receiver.got) == ("The endpoint's secret can't be read any more: give it a new one.", [])


def test_an_address_that_is_not_open_any_more_is_not_asked(receiver: Receiver, settings: Any) -> None:
    make_endpoint(url=receiver.url)
    publish()
    settings.WEBHOOKS_PRIVATE_NETWORKS = ()
    run_due(Clock())
    assert (Delivery.objects.get().last_error, receiver.got) == ("Refused: The host is not on the public internet.", [])


def test_one_relay_in_a_process_and_a_ring_meanwhile_is_not_lost(receiver: Receiver) -> None:
    """A ring that comes while a delivery is in the air ends at once; what it rang for goes out all the same."""
    make_endpoint(url=receiver.url)
    publish()
    meanwhile: list[int] = []
    receiver.before_answer = lambda: meanwhile.append(actions.deliver(clock=Clock()))
    assert run_due(Clock()) == 1
    assert meanwhile == [0]


def test_events_are_forgotten_after_a_month() -> None:
    clock = Clock()
    make_endpoint()
    publish(now=clock())
    clock.forward(days=1)
    publish(now=clock())
    clock.forward(days=29)
    assert actions.forget_events(now=clock()) == 1
    assert (Event.objects.count(), Delivery.objects.count()) == (1, 1)
