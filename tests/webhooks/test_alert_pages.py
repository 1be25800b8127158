"""Alerts in the back office: the banner on every page, the list, and who may take one on."""

import html
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import AuditEntry, Role
from apps.webhooks.actions import resolve_alert
from apps.webhooks.domain.alerts import Severity
from apps.webhooks.models import Alert
from tests.factories.accounts import make_office_client, make_user, make_workspace
from tests.factories.alerts import PLATFORM, make_alert

pytestmark = pytest.mark.django_db
PAGES = (
    "index",
    "jobs_job_changelist",
    "jobs_item_dead",
    "files_file_changelist",
    "accounts_apikey_changelist",
    "webhooks_alert_changelist",
)
LIST = "admin:webhooks_alert_changelist"


def shown(client: Any, name: str = "index", *arguments: Any, **query: Any) -> str:
    answer = client.get(reverse(f"admin:{name}", args=arguments), query)
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


def acknowledge(client: Any, alert: Alert, **form: Any) -> Any:
    return client.post(reverse("admin:webhooks_alert_acknowledge", args=[alert.pk]), form)


def banner(client: Any, name: str = "index") -> str:
    page = shown(client, name)
    return page.partition('id="alerts"')[2].partition("</section>")[0]


def test_every_page_tells_what_nobody_has_taken_on() -> None:
    alert = make_alert()
    client = make_office_client(make_user(acme=Role.MEMBER))
    for name in PAGES:
        told = banner(client, name)
        assert alert.title in told
        assert 'href="/admin/jobs/item/dead/"' in told
        assert reverse("admin:webhooks_alert_acknowledge", args=[alert.pk]) in told
        assert "csrfmiddlewaretoken" in told


def test_no_alert_no_banner() -> None:
    assert 'id="alerts"' not in shown(make_office_client())


def test_the_worst_come_first_and_the_rest_is_counted() -> None:
    for number in range(5):
        make_alert(fingerprint=f"job:{number}", title=f"mild {number}", severity=Severity.INFO)
    make_alert(fingerprint="bad", title="worst of all", severity=Severity.CRITICAL)
    told = banner(make_office_client())
    assert told.index("worst of all") < told.index("mild 4") < told.index("mild 3")
    assert "mild 2" not in told
    assert "3 more" in told


@pytest.mark.parametrize("workspace", ["globex", PLATFORM])
def test_others_see_nothing_of_it(workspace: Any) -> None:
    alert = make_alert(workspace if workspace is PLATFORM else make_workspace(workspace))
    client = make_office_client(make_user(acme=Role.OWNER))
    assert alert.title not in shown(client)
    assert alert.title not in shown(client, "webhooks_alert_changelist")
    assert acknowledge(client, alert).status_code == 404
    assert Alert.objects.get().state == "open"
    assert alert.title in banner(make_office_client())


def test_a_viewer_sees_it_and_only_looks() -> None:
    alert = make_alert()
    client = make_office_client(make_user(acme=Role.VIEWER))
    assert alert.title in banner(client)
    assert "Acknowledge" not in banner(client)
    answer = client.post(reverse("admin:webhooks_alert_acknowledge", args=[alert.pk]), follow=True)
    assert "only lets you look" in answer.content.decode()
    assert Alert.objects.get().state == "open"


def test_a_member_takes_it_on_and_stays_where_they_are() -> None:
    alert = make_alert()
    client = make_office_client(make_user(acme=Role.MEMBER))
    here = reverse("admin:jobs_job_changelist") + "?lane__exact=bulk"
    answer = acknowledge(client, alert, next=here, reason="on it")
    assert (answer.status_code, answer.headers["Location"]) == (302, here)
    alert.refresh_from_db()
    assert (alert.state, alert.acknowledged_by) == ("acknowledged", "ada")
    assert AuditEntry.objects.get(verb="acknowledged").reason == "on it"
    assert 'id="alerts"' not in shown(client)


@pytest.mark.parametrize("elsewhere", ["https://elsewhere.example/", "//elsewhere.example", "javascript:alert(1)", ""])
def test_nobody_is_led_elsewhere(elsewhere: str) -> None:
    alert = make_alert()
    answer = acknowledge(make_office_client(), alert, next=elsewhere)
    assert answer.headers["Location"] == reverse("admin:webhooks_alert_change", args=[alert.pk])


def test_without_its_token_the_button_does_nothing() -> None:
    alert = make_alert()
    client = make_office_client()
    client.handler.enforce_csrf_checks = True
    assert acknowledge(client, alert).status_code == 403
    assert client.get(reverse("admin:webhooks_alert_acknowledge", args=[alert.pk])).status_code == 405
    assert Alert.objects.get().state == "open"


def test_the_list_is_narrowed_by_state() -> None:
    client = make_office_client()
    standing, taken, over = (make_alert(fingerprint=name, title=f"the {name} one") for name in ("standing", "taken", "over"))
    acknowledge(client, taken)
    resolve_alert(workspace_id=over.workspace_id, fingerprint="over", now=timezone.now())
    for state, alert in (("open", standing), ("acknowledged", taken), ("resolved", over)):
        answer = client.get(reverse(LIST), {"state": state})
        assert [row.pk for row in answer.context["cl"].result_list] == [alert.pk]
    assert len(client.get(reverse(LIST), {"severity__exact": "warning", "kind": "dead.share"}).context["cl"].result_list) == 3
    assert client.get(reverse(LIST), {"q": standing.public_id}).context["cl"].result_list[0].pk == standing.pk


def test_an_alerts_page_says_what_to_do() -> None:
    alert = make_alert(text="one\ntwo <b>")
    told = make_office_client().get(reverse("admin:webhooks_alert_change", args=[alert.pk])).content.decode()
    assert "one\ntwo &lt;b&gt;" in told
    assert "Look closer" in told


def test_a_list_without_alerts_says_what_would_stand_there() -> None:
    assert "Alerts appear when" in shown(make_office_client(), "webhooks_alert_changelist")
