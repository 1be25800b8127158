"""`/api/alerts`: a workspace's alerts, narrowed and paged, and taken on by a key."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.domain.keys import Scope
from apps.accounts.models import AuditEntry
from apps.webhooks.actions import acknowledge_alert, resolve_alert
from apps.webhooks.domain.alerts import Severity
from tests.factories.accounts import make_client, make_workspace
from tests.factories.alerts import PLATFORM, make_alert

pytestmark = pytest.mark.django_db


def ids(client: Client, query: str = "") -> list[str]:
    answer = client.get(f"/api/alerts{query}")
    assert answer.status_code == 200, answer.content
    return [alert["id"] for alert in answer.json()["data"]]


def test_an_alert_as_programs_see_it() -> None:
    alert = make_alert()
    shown: dict[str, Any] = make_client().get(f"/api/alerts/{alert.public_id}").json()
    assert shown == make_client().get("/api/alerts").json()["data"][0]
    assert (shown["id"], shown["state"], shown["severity"], shown["data"]) == (alert.public_id, "open", "warning", {"dead": 12})
    assert (shown["count"], shown["acknowledged_at"], shown["resolved_at"]) == (1, None, None)


def test_narrowed_and_newest_first() -> None:
    client = make_client()
    standing, taken, over = (make_alert(fingerprint=name) for name in ("standing", "taken", "over"))
    worst = make_alert(fingerprint="worst", severity=Severity.CRITICAL, kind="dead.poison")
    acknowledge_alert(alert_id=taken.id, now=timezone.now())
    resolve_alert(workspace_id=over.workspace_id, fingerprint="over", now=timezone.now())
    assert ids(client) == [alert.public_id for alert in (worst, over, taken, standing)]
    assert ids(client, "?state=open") == [worst.public_id, standing.public_id]
    assert ids(client, "?state=acknowledged") == [taken.public_id]
    assert ids(client, "?state=resolved") == [over.public_id]
    assert ids(client, "?severity=critical") == ids(client, "?kind=dead.poison") == [worst.public_id]
    page = client.get("/api/alerts?limit=3").json()
    assert ids(client, f"?limit=3&cursor={page['next_cursor']}") == [standing.public_id]


@pytest.mark.parametrize("query", ["state=gone", "state=", "severity=bad", "kind="])
def test_what_makes_no_sense_is_named(query: str) -> None:
    answer = make_client().get(f"/api/alerts?{query}")
    assert (answer.status_code, answer.json()["param"]) == (400, query.partition("=")[0])


def test_others_and_the_platforms_are_not_shown() -> None:
    theirs, ours = make_alert(make_workspace("globex")), make_alert(PLATFORM)
    client = make_client()
    assert ids(client) == []
    for alert in (theirs, ours):
        assert client.post(f"/api/alerts/{alert.public_id}/acknowledge").status_code == 404


def test_a_key_takes_it_on_once() -> None:
    alert, client = make_alert(), make_client()
    first = client.post(f"/api/alerts/{alert.public_id}/acknowledge", headers={"Idempotency-Key": "one"})
    again = client.post(f"/api/alerts/{alert.public_id}/acknowledge", headers={"Idempotency-Key": "one"})
    assert first.json() == again.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (first.status_code, first.json()["state"]) == (200, "acknowledged")
    assert client.post(f"/api/alerts/{alert.public_id}/acknowledge").json() == first.json()
    assert AuditEntry.objects.get(verb="acknowledged").actor_kind == "key"
    assert first.json()["acknowledged_by"] == AuditEntry.objects.get(verb="acknowledged").actor_label


def test_the_scope_is_asked_for() -> None:
    assert make_client("acme", Scope.FILES).get("/api/alerts").status_code == 403
