"""Alerts: one is open for a fingerprint, told once, told again when worse, told when over; taken on by somebody."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.accounts.models import AuditEntry
from apps.lib.http_errors import ApiError
from apps.lib.ids import uuid7
from apps.webhooks.actions import acknowledge_alert, deliver, raise_alert, resolve_alert
from apps.webhooks.domain.alerts import Alarm, Severity
from apps.webhooks.models import Alert, Event
from tests.crowds import all_at_once
from tests.factories.accounts import make_workspace
from tests.factories.alerts import PLATFORM, make_alarm, make_alert
from tests.factories.webhooks import make_endpoint
from tests.webhooks.receivers import Clock, opened, receiving

pytestmark = pytest.mark.django_db


def told() -> list[str]:
    return list(Event.objects.order_by("id").values_list("type", flat=True))


def test_the_same_again_only_counts() -> None:
    first = make_alert()
    later = timezone.now() + timedelta(minutes=5)
    raise_alert(make_alarm(title="13 of 300", data={"dead": 13}), now=later)
    alert = Alert.objects.get()
    assert (alert.id, alert.count, alert.first_seen_at, alert.last_seen_at) == (first.id, 2, first.first_seen_at, later)
    assert (alert.title, alert.data) == ("13 of 300", {"dead": 13})
    assert told() == ["alert.raised"]


def test_another_fingerprint_workspace_or_the_platform_is_another_alert() -> None:
    made = {make_alert().id, make_alert(fingerprint="job:2").id, make_alert(make_workspace("globex")).id, make_alert(PLATFORM).id}
    assert make_alert(PLATFORM).id in made
    assert Alert.objects.count() == len(made) == 4


def test_worse_is_told_again_and_asks_anew() -> None:
    alert = make_alert()
    acknowledge_alert(alert_id=alert.id, now=timezone.now())
    make_alert()
    assert Alert.objects.get().state == "acknowledged"
    make_alert(severity=Severity.CRITICAL)
    found = Alert.objects.get()
    assert (found.state, found.severity, found.acknowledged_by) == ("open", "critical", "")
    assert told() == ["alert.raised", "alert.raised"]
    make_alert(severity=Severity.INFO)
    assert Alert.objects.get().severity == "critical"
    assert len(told()) == 2


def test_over_is_told_once_and_the_next_is_new() -> None:
    alert, now = make_alert(), timezone.now()
    assert resolve_alert(workspace_id=alert.workspace_id, fingerprint="job:1", now=now)
    assert not resolve_alert(workspace_id=alert.workspace_id, fingerprint="job:1", now=now)
    assert Alert.objects.get().state == "resolved"
    assert make_alert().id != alert.id
    assert told() == ["alert.raised", "alert.resolved", "alert.raised"]


def test_what_concerns_the_platform_goes_to_no_workspace() -> None:
    make_endpoint()
    make_alert(PLATFORM)
    assert resolve_alert(workspace_id=None, fingerprint="job:1", now=timezone.now())
    assert told() == []


def test_endpoints_that_ask_for_alerts_are_told() -> None:
    with receiving() as receiver, opened(receiver):
        make_endpoint(url=receiver.url)
        alert = make_alert()
        deliver(clock=Clock())
    body = receiver.got[0].body.decode()
    assert '"type":"alert.raised"' in body
    assert f'"id":"{alert.public_id}","kind":"dead.share","severity":"warning"' in body


def test_the_longest_words_fit_an_event() -> None:
    make_alert(title="\N{SNOWMAN}" * 5000, text="\N{SNOWMAN}" * 50_000)
    assert told() == ["alert.raised"]


def test_who_takes_it_on_is_written_down_once() -> None:
    alert, now = make_alert(), timezone.now()
    acknowledge_alert(alert_id=alert.id, now=now, reason="on it")
    acknowledge_alert(alert_id=alert.id, now=now + timedelta(hours=1))
    alert.refresh_from_db()
    assert (alert.acknowledged_at, alert.acknowledged_by) == (now, "the platform")
    entry = AuditEntry.objects.get(verb="acknowledged")
    assert (entry.object_id, entry.reason, entry.workspace_id) == (str(alert.id), "on it", alert.workspace_id)
    with pytest.raises(ApiError, match="No such alert"):
        acknowledge_alert(alert_id=uuid7(), now=now)


@pytest.mark.parametrize("path", ["https://elsewhere.example/", "//elsewhere.example/", "javascript:alert(1)", "admin/"])
def test_an_alert_leads_nowhere_else(path: str) -> None:
    with pytest.raises(ValueError, match="this site's own"):
        Alarm(kind="a", fingerprint="b", severity=Severity.INFO, title="t", text="t", path=path)


@pytest.mark.django_db(transaction=True)
def test_raised_by_many_at_once_it_is_one() -> None:
    alarm, now = make_alarm(PLATFORM), timezone.now()
    all_at_once(8, lambda: raise_alert(alarm, now=now))
    assert Alert.objects.get().count == 8
