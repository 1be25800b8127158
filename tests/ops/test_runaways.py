"""What runs away: told within two minutes of it, once, by webhook and mail and on the pages, until it is over; and paused where wanted."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.models import AuditEntry, Role, User
from apps.jobs.actions import release_held
from apps.jobs.actions.recheck_held import recheck_held
from apps.jobs.models import Item
from apps.lib.mail_server import read_mail_server
from apps.ops.actions.watch_conditions import watch_conditions
from apps.ops.tasks import watch as watch_task
from apps.spend.actions import change_budget
from apps.spend.domain.runaway import Watched
from apps.spend.models import Budget, HourlyPace
from apps.webhooks.models import Alert, Delivery, Event, Mail
from tests.factories.accounts import make_api_key, make_client, make_office_client, make_user, make_workspace
from tests.factories.paces import make_calls, make_weeks
from tests.factories.webhooks import make_endpoint
from tests.jobs.rows import make_job
from tests.spend.purses import MODEL, QUOTER, claim

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 18, 10, 20, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PAUSES = override_settings(RUNAWAY_PAUSES=frozenset({"feature", "api_key"}))


def feature(name: str = "search", workspace: Any = None) -> Watched:
    return Watched("feature", (workspace or make_workspace()).id, name)


def whole(workspace: Any = None) -> Watched:
    return Watched("workspace", (workspace or make_workspace()).id)


def watch(now: datetime = NOW) -> list[Alert]:
    watch_conditions(now=now)
    return list(Alert.objects.open().filter(kind="spend.runaway").order_by("id"))


def make_steady(*, now: datetime = NOW, calls_a_minute: float = 30) -> None:
    """Four weeks of a feature, and the last hour as always."""
    make_weeks([feature(), whole()], now=now, calls_a_minute=calls_a_minute)
    make_calls(make_workspace().id, int(60 * calls_a_minute), until=now, minutes=60, feature="search")


def test_as_much_as_always_is_quiet_and_ten_times_as_much_is_told_after_two_minutes() -> None:
    make_steady()
    assert watch() == []
    make_calls(make_workspace().id, 600, until=NOW + 2 * MINUTE, minutes=2, feature="search")
    (alert,) = watch(NOW + 2 * MINUTE)
    assert (alert.workspace_id, alert.severity, alert.fingerprint) == (make_workspace().id, "critical", "spend.runaway:feature:search")
    assert alert.title == "The feature search runs away: 600 calls in 2 minutes, 10 times the usual"
    assert alert.text.startswith("Since 2026-11-18 10:20 UTC: 600 calls within 2 minutes (usual at the busiest of this hour: 60 calls)")
    assert "It is not stopped" in alert.text
    assert alert.path == f"/admin/spend/charge/overview/?period=today&workspace={alert.workspace_id}&feature=search&by=job"
    assert "600" in make_office_client().get(alert.path).content.decode()
    assert (alert.data["scope"], alert.data["name"], alert.data["paused_by"]) == ("feature", "search", None)
    assert alert.data["excesses"][0] == {"measure": "calls", "minutes": 2, "amount": 600, "usual": 60}


def test_it_is_told_once_while_it_goes_on_and_over_when_it_has_been_quiet() -> None:
    make_endpoint()
    make_steady()
    make_calls(make_workspace().id, 3_000, until=NOW + 10 * MINUTE, minutes=10, feature="search")
    for minutes in range(2, 11):
        assert len(watch(NOW + minutes * MINUTE)) == 1
    assert Alert.objects.get(kind="spend.runaway").data["since"] == "2026-11-18 10:20"
    make_calls(make_workspace().id, 60 * 30, until=NOW + 70 * MINUTE, minutes=60, feature="search")
    assert watch(NOW + 15 * MINUTE) == []
    assert list(Event.objects.order_by("id").values_list("type", flat=True)) == ["alert.raised", "alert.resolved"]


def test_the_whole_way_by_the_task_that_beat_rings_for() -> None:
    """Charges -> task -> alert -> a delivery of the webhook, a mail, the banner -> taken on by a key."""
    make_endpoint()
    User.objects.filter(pk=make_user("ada", acme=Role.OWNER).pk).update(email="ada@example.com")
    now = timezone.now()
    make_steady(now=now)
    make_calls(make_workspace().id, 900, until=now, minutes=2, feature="search")
    with override_settings(MAIL_SERVER=read_mail_server("console://")):
        assert watch_task()["spend.runaway"] == 1
        assert watch_task()["spend.runaway"] == 1
    alert, said = Alert.objects.get(kind="spend.runaway"), "The feature search runs away: "
    assert (alert.count, alert.tellings) == (2, 1)
    delivery = Delivery.objects.get(event__subject_id=alert.id)
    assert (delivery.event.type, delivery.state, said in delivery.event.payload) == ("alert.raised", "waiting", True)
    mail = Mail.objects.get(alert=alert)
    assert (mail.recipient, mail.title.startswith(said), mail.state) == ("ada@example.com", True, "waiting")
    page = make_office_client(User.objects.get(username="ada")).get("/admin/").content.decode()
    assert said in page
    taken = make_client().post(f"/api/alerts/{alert.public_id}/acknowledge")
    assert (taken.status_code, taken.json()["state"]) == (200, "acknowledged")
    assert said not in make_office_client(User.objects.get(username="ada")).get("/admin/").content.decode()


def test_the_narrowest_is_told_and_a_wider_one_only_for_what_it_did_besides() -> None:
    key, _ = make_api_key()
    by_key = Watched("api_key", make_workspace().id, str(key.id))
    make_weeks([feature(), by_key, whole()], now=NOW, calls_a_minute=30)
    make_calls(make_workspace().id, 700, until=NOW, minutes=2, feature="search", api_key_id=key.id)
    assert [alert.data["scope"] for alert in watch()] == ["feature"]
    make_calls(make_workspace().id, 700, until=NOW, minutes=2, api_key_id=key.id)
    assert [(alert.data["scope"], alert.data["name"]) for alert in watch()] == [("feature", "search"), ("api_key", f"key_{key.id.hex}")]
    assert "(test) runs away: 1,400 calls in 2 minutes" in Alert.objects.get(data__scope="api_key").title
    make_calls(make_workspace().id, 700, until=NOW, minutes=2)
    assert [alert.data["scope"] for alert in watch()] == ["feature", "api_key", "workspace"]


def test_what_is_new_or_little_or_belongs_to_another_is_quiet() -> None:
    globex = make_workspace("globex")
    make_weeks([feature("young")], now=NOW, calls_a_minute=30, weeks=1)
    make_weeks_for_others = [feature("little"), feature("busy", globex)]
    for one in make_weeks_for_others:
        HourlyPace.objects.bulk_create(
            HourlyPace(
                hour=NOW.replace(minute=0) - timedelta(hours=ago), workspace_id=one.workspace_id, scope="feature", name=one.name,
                calls=[1, 5, 30], tokens=[1, 5, 30], usd=[0, 0, 0],
            )
            for ago in range(1, 4 * 7 * 24)
        )  # fmt: skip
    make_calls(make_workspace().id, 900, until=NOW, minutes=2, feature="young")
    make_calls(make_workspace().id, 99, until=NOW, minutes=2, feature="little")
    # The other workspace's feature of this name is busy; this one has no history.
    make_calls(make_workspace().id, 900, until=NOW, minutes=2, feature="busy")
    assert watch() == []


def test_looking_costs_as_many_questions_however_many_features_there_are() -> None:
    def questions() -> int:
        with CaptureQueriesContext(connection) as asked:
            watch_conditions(now=NOW)
        return len(asked)

    make_steady()
    few = questions()
    make_weeks_of = [feature(f"feature {number}") for number in range(20)]
    for one in make_weeks_of:
        make_calls(one.workspace_id, 150, until=NOW, minutes=60, feature=one.name)
    assert questions() == few


# --- paused by itself -----------------------------------------------------------------------------------------------


def make_runaway_key() -> Any:
    key, _ = make_api_key()
    make_weeks([Watched("api_key", make_workspace().id, str(key.id))], now=NOW, calls_a_minute=30)
    make_calls(make_workspace().id, 700, until=NOW, minutes=2, api_key_id=key.id)
    return key


def test_nothing_is_paused_unless_the_operator_wants_it() -> None:
    make_runaway_key()
    assert len(watch()) == 1
    assert not Budget.objects.exists()


@PAUSES
def test_a_key_that_runs_away_is_paused_its_jobs_wait_and_others_go_on_until_somebody_lifts_it() -> None:
    key = make_runaway_key()
    (alert,) = watch()
    pause = Budget.objects.get(period="pause")
    assert (pause.scope, pause.api_key_id, pause.is_active, str(pause)) == ("api_key", key.id, True, f"pause of key {key}")
    assert (alert.data["paused_by"], alert.path) == (pause.public_id, f"/admin/spend/budget/{pause.id}/change/")
    assert "It is paused: its jobs wait" in alert.text
    entry = AuditEntry.objects.get(object_type="budget", verb="paused")
    assert "700 calls within 2 minutes" in entry.reason

    theirs = make_job(prompts=["a", "b"], model_id=MODEL, api_key_id=key.id)
    others = make_job(prompts=["c"], model_id=MODEL)
    assert [item.job_id for item in claim()] == [others.id]
    theirs.refresh_from_db()
    assert (theirs.held_by_id, theirs.held_until) == (pause.id, None)
    assert claim() == []
    assert recheck_held() == 0
    page = make_office_client().get(f"/admin/jobs/job/{theirs.id}/change/").content.decode()
    assert f"The pause of key {key}" in page

    change_budget(budget_id=pause.id, values={"is_active": False}, reason="mended")
    assert AuditEntry.objects.get(object_type="budget", verb="lifted").reason == "mended"
    assert release_held(budget_id=pause.id) == 1
    assert [item.job_id for item in claim()] == [theirs.id, theirs.id]


@PAUSES
def test_what_costs_nothing_is_paused_too() -> None:
    key = make_runaway_key()
    watch()
    make_job(prompts=["a"], model_id=MODEL, api_key_id=key.id)
    with patch.object(type(QUOTER), "quote", return_value=type("Free", (), {"amount_usd": Decimal(0), "needs_limit": False})()):
        assert claim() == []


@PAUSES
def test_a_paused_features_items_go_aside_and_come_back_when_it_is_lifted() -> None:
    make_steady()
    make_calls(make_workspace().id, 900, until=NOW, minutes=2, feature="search")
    watch()
    pause = Budget.objects.get(period="pause")
    assert (pause.scope, pause.subject, pause.workspace_id) == ("feature", "search", make_workspace().id)
    job = make_job(prompts=["a", "b"], model_id=MODEL)
    Item.objects.filter(job=job, position=1).update(feature="search")
    assert [item.feature for item in claim()] == [""]
    assert Item.objects.get(job=job, position=1).error_code == "budget_exhausted"
    change_budget(budget_id=pause.id, values={"is_active": False})
    release_held(budget_id=pause.id)
    assert [item.feature for item in claim()] == ["search"]


@PAUSES
def test_the_alert_stays_until_the_pause_is_lifted_and_what_was_lifted_is_told_but_not_paused_for_a_day() -> None:
    key = make_runaway_key()
    watch()
    (alert,) = watch(NOW + 30 * MINUTE)
    assert alert.title == f"The key {key} is paused since {Budget.objects.get().paused_at:%Y-%m-%d %H:%M} UTC: it ran away"
    assert "700 calls within 2 minutes" in alert.text
    pause = Budget.objects.get()
    change_budget(budget_id=pause.id, values={"is_active": False})
    assert watch(NOW + 33 * MINUTE) == []

    lifted = NOW + 40 * MINUTE
    Budget.objects.update(lifted_at=lifted)
    for hours, is_paused in ((1, False), (25, True)):
        now = lifted + timedelta(hours=hours)
        make_calls(make_workspace().id, 700, until=now, minutes=2, api_key_id=key.id)
        assert len(watch(now)) == 1
        pause.refresh_from_db()
        assert pause.is_active is is_paused


@PAUSES
def test_killed_between_the_pause_and_the_alert_the_next_look_tells_it() -> None:
    make_runaway_key()
    with patch("apps.webhooks.actions.keep_alerts.raise_alert", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        watch()
    assert Budget.objects.get().is_active
    assert len(watch()) == 1
    assert AuditEntry.objects.filter(verb="paused").count() == 1


@PAUSES
def test_a_pause_is_seen_and_lifted_by_the_api_and_has_no_cap() -> None:
    make_runaway_key()
    watch()
    client, pause = make_client(), Budget.objects.get()
    (shown,) = client.get("/api/budgets").json()["data"]
    assert (shown["period"], shown["active"], shown["room_usd"], shown["lifted_at"]) == ("pause", True, "0", None)
    assert shown["paused_at"] is not None
    address = f"/api/budgets/{pause.public_id}"
    for body in ({"cap_usd": "5"}, {"hard": False}):
        assert client.patch(address, body, content_type="application/json").status_code == 400
    assert client.post(f"{address}/top_up", {"amount_usd": "5"}, content_type="application/json").status_code == 400
    made = client.post("/api/budgets", {"scope": "workspace", "period": "pause", "cap_usd": "0"}, content_type="application/json")
    assert made.status_code == 400
    lifted = client.patch(address, {"active": False}, content_type="application/json").json()
    assert (lifted["active"], lifted["lifted_at"] is not None) == (False, True)
    # Only the platform pauses; who could, would keep it from ever pausing by lifting it each day.
    assert client.patch(address, {"active": True}, content_type="application/json").status_code == 400


@PAUSES
def test_a_pause_is_seen_and_lifted_on_its_page() -> None:
    make_runaway_key()
    watch()
    pause, client = Budget.objects.get(), make_office_client(make_user("ada", acme=Role.OWNER))
    listed = client.get("/admin/spend/budget/").content.decode()
    assert "paused" in listed
    page = client.get(f"/admin/spend/budget/{pause.pk}/change/").content.decode()
    assert "ran away and was paused" in page
    assert "Top up this period" not in page
    assert client.post(f"/admin/spend/budget/{pause.pk}/top-up/", {"amount_usd": "5"}).status_code == 302
    assert client.post(f"/admin/spend/budget/{pause.pk}/change/", {"reason": "it was the campaign"}).status_code == 302
    pause.refresh_from_db()
    assert (pause.is_active, pause.lifted_at is not None) == (False, True)
    assert AuditEntry.objects.get(verb="lifted").actor_label == "ada"
    assert client.post(f"/admin/spend/budget/{pause.pk}/change/", {"is_active": "on", "reason": "as agreed"}).status_code in {200, 302}
    pause.refresh_from_db()
    assert not pause.is_active
