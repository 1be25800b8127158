"""What is watched: each condition raises its alert once, at its threshold and not below, and resolves itself when it is over."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.jobs.actions import discard_dead, release_held, require_room
from apps.jobs.actions.bury import Death, bury
from apps.jobs.domain.dead_items import Selection
from apps.jobs.domain.fingerprint import POISON_FINGERPRINT, POISON_MESSAGE
from apps.jobs.domain.lifecycle import ItemState, JobStatus
from apps.jobs.models import Aside, Item, Job
from apps.lib.ids import uuid7
from apps.lib.redis_client import redis_client
from apps.ops.actions import watch_conditions as watching
from apps.ops.actions.watch_conditions import watch_conditions
from apps.ops.queries import dead_conditions
from apps.ops.queries.health import CANARY_KEY
from apps.providers.domain.bucket_state import BucketState
from apps.providers.models import TransitionRecord
from apps.spend.actions import change_budget, top_up_budget
from apps.spend.models import Budget, BudgetPeriod
from apps.webhooks.models import Alert, Endpoint, Event
from tests.factories.accounts import make_workspace
from tests.factories.jobs import make_job, make_route
from tests.factories.webhooks import make_endpoint
from tests.spend.purses import make_budget

pytestmark = pytest.mark.django_db
LATER = timedelta(minutes=3)


def make_dead(number: int, *, total: int = 1000, died_at: datetime | None = None, workspace: Any = None, **job: Any) -> Job:
    """A job of `total` of which so many are dead; written in one statement."""
    made = make_job(workspace=workspace, done=0, dead=0, running=0, waiting=0, **job)
    Job.objects.filter(id=made.id).update(dead=number, total=total)
    when = died_at or timezone.now()
    Item.objects.bulk_create(
        Item(
            id=uuid7(), job=made, workspace_id=made.workspace_id, model_id=make_route().model.id, lane="default", position=position,
            custom_id=f"d{position}", request_body_id=b"x" * 32, state=ItemState.DEAD, ended_at=when, outcome="rejected",
            fingerprint="f" * 16,
        )
        for position in range(number)
    )  # fmt: skip
    return made


def watch(after: timedelta = timedelta(0)) -> dict[str, list[Alert]]:
    # Not by what was measured a moment ago: how long a moment is depends on the machine.
    require_room._kept.load = None
    watch_conditions(now=timezone.now() + after)
    found: dict[str, list[Alert]] = {}
    for alert in Alert.objects.open().order_by("id"):
        found.setdefault(alert.kind, []).append(alert)
    return found


def old(**by: Any) -> datetime:
    return timezone.now() - timedelta(**by)


def test_a_quiet_platform_has_no_alert() -> None:
    make_job(dead=0)
    assert watch() == {}


@pytest.mark.parametrize(
    ("dead", "total", "is_raised"), [(10, 1000, False), (11, 1000, True), (2, 100, True), (1, 100, False), (40, 99, False)]
)
def test_more_than_one_in_a_hundred_of_a_job(dead: int, total: int, *, is_raised: bool) -> None:
    job = make_dead(dead, total=total, died_at=old(minutes=10))
    assert ("dead.share" in watch()) is is_raised
    if is_raised:
        alert = Alert.objects.get(kind="dead.share")
        assert (alert.workspace_id, alert.data["dead"], alert.data["job_id"]) == (job.workspace_id, dead, job.public_id)
        assert f"{dead} of {total:,} items of questions.jsonl are dead" == alert.title
        assert alert.path == f"/admin/jobs/job/{job.id}/change/"


def test_it_is_told_once_and_over_when_they_are_discarded() -> None:
    job = make_dead(20, total=100, died_at=old(minutes=10))
    watch()
    watch()
    assert Event.objects.filter(type="alert.raised").count() == 1
    discard_dead(Selection(job_id=job.id), workspace_ids=None, now=timezone.now(), reason="gone")
    assert "dead.share" in watch()
    assert watch(LATER) == {}
    assert Event.objects.filter(type="alert.resolved").count() == 1
    assert watch(LATER) == {}


def test_a_job_that_ended_long_ago_is_not_looked_for_but_its_alert_is_kept() -> None:
    job = make_dead(20, total=100, died_at=old(minutes=10))
    watch()
    Job.objects.filter(id=job.id).update(status=JobStatus.COMPLETED, ended_at=timezone.now())
    Item.objects.update(ended_at=old(hours=3))
    assert "dead.share" in watch(LATER)
    Alert.objects.all().delete()
    assert watch() == {}


def test_an_alert_is_not_over_because_other_jobs_have_more_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_conditions, "_MOST_ALERTS", 2)
    first = make_dead(20, total=100, died_at=old(minutes=10))
    watch()
    for _ in range(3):
        make_dead(20, total=100, died_at=old(minutes=10))
    watch(LATER)
    watch(2 * LATER)
    assert Alert.objects.open().filter(kind="dead.share", data__job_id=first.public_id).exists()


@pytest.mark.parametrize(("dead", "ago", "is_raised"), [(26, 1, True), (25, 1, False), (26, 6, False)])
def test_more_than_25_within_five_minutes(dead: int, ago: int, *, is_raised: bool) -> None:
    make_dead(dead, total=1_000_000, died_at=old(minutes=ago))
    assert ("dead.burst" in watch()) is is_raised


def test_a_burst_is_over_by_itself() -> None:
    make_dead(26, total=1_000_000)
    make_dead(26, total=1_000_000, workspace=make_workspace("globex"))
    assert len(watch()["dead.burst"]) == 2
    assert watch(timedelta(minutes=8)) == {}


def test_a_poison_item_at_once() -> None:
    make_dead(1, total=1_000_000)
    assert watch() == {}
    item = Item.objects.get()
    bury([Death(item.id, "lost", "poison", POISON_MESSAGE)])
    assert Item.objects.get().fingerprint == POISON_FINGERPRINT
    (alert,) = watch()["dead.poison"]
    assert (alert.severity, alert.path) == ("critical", f"/admin/jobs/item/dead/?group={POISON_FINGERPRINT}")
    Item.objects.update(state=ItemState.WAITING)
    assert watch(LATER) == {}


def test_dead_items_that_nobody_attends_to() -> None:
    make_dead(1, died_at=old(hours=25))
    make_dead(1, died_at=old(hours=23))
    (alert,) = watch()["dead.unattended"]
    assert (alert.title, alert.data["dead"]) == ("1 dead item waited for more than a day", 1)
    Item.objects.update(discarded_at=timezone.now())
    assert watch(LATER) == {}


def test_a_call_that_failed_told_its_caller() -> None:
    job = make_dead(1, died_at=old(hours=25))
    Job.objects.filter(id=job.id).update(kind="single")
    assert watch() == {}


def test_failed_calls_do_not_hide_what_waits_for_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look reads so many of the oldest: those that nobody need attend to must not be all of them."""
    monkeypatch.setattr("apps.ops.queries.dead_conditions._NEWEST", 2)
    Job.objects.filter(id=make_dead(3, died_at=old(hours=60)).id).update(kind="single")
    make_dead(1, died_at=old(hours=25))
    assert [alert.data["dead"] for alert in watch()["dead.unattended"]] == [1]


def open_breaker(monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    monkeypatch.setattr(
        "apps.providers.queries.look",
        lambda keys: {key: BucketState(is_known=True, breaker=state if "target" in key else "closed") for key in keys},
    )


def test_a_breaker_that_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    route = make_route()
    for what, minutes in (("open", 60), ("closed", 50), ("open", 7), ("half-open", 6), ("open", 5)):
        TransitionRecord.objects.create(provider=route.provider, target=route.target, what=what, at=old(minutes=minutes))
    open_breaker(monkeypatch, "half-open")
    (alert,) = watch()["provider.breaker"]
    assert (alert.title, alert.workspace) == ("primary has not answered for small for 7 minutes", None)
    open_breaker(monkeypatch, "closed")
    assert watch(LATER) == {}


def test_a_breaker_that_opened_just_now(monkeypatch: pytest.MonkeyPatch) -> None:
    route = make_route()
    open_breaker(monkeypatch, "open")
    TransitionRecord.objects.create(provider=route.provider, target=route.target, what="open", at=old(minutes=4))
    assert watch() == {}


def test_use_that_is_far_beyond_our_estimate() -> None:
    route = make_route()
    for minutes in (70, 50, 20):
        TransitionRecord.objects.create(provider=route.provider, target=route.target, what="overstated", at=old(minutes=minutes))
    (alert,) = watch()["provider.usage"]
    assert (alert.title, alert.workspace) == ("primary reports far more tokens for small than its calls can have used", None)
    TransitionRecord.objects.all().delete()
    assert watch(LATER) == {}


@pytest.fixture
def _served() -> Any:
    for lane in ("interactive", "default", "bulk"):
        redis_client().set(CANARY_KEY.format(queue=lane), f"{timezone.now().timestamp():.3f}", ex=90)
    yield
    redis_client().delete(*(CANARY_KEY.format(queue=lane) for lane in ("interactive", "default", "bulk")))


@pytest.mark.usefixtures("_served")
def test_work_that_waits_too_long(settings: Any) -> None:
    settings.INTAKE_OLDEST_SECONDS = settings.INTAKE_OLDEST_SECONDS | {"default": 7200}
    make_job(dead=0)
    assert watch() == {}
    Item.objects.update(not_before=old(minutes=61))
    (alert,) = watch()["work.old"]
    assert (alert.severity, alert.title) == ("warning", "The oldest item of the lane default has waited for 1 hour")
    Item.objects.update(not_before=old(minutes=121))
    assert watch()["work.old"][0].severity == "critical"
    Item.objects.update(state=ItemState.DONE)
    assert watch(LATER) == {}


def test_work_that_no_worker_serves() -> None:
    make_job(dead=0)
    assert watch() == {}
    Item.objects.update(not_before=old(minutes=2))
    (alert,) = watch()["work.unserved"]
    assert (alert.severity, alert.title) == ("critical", "No worker serves the lane default; items that wait there: 1")


@pytest.mark.usefixtures("_served")
def test_work_that_is_served_is_no_alert() -> None:
    make_job(dead=0)
    Item.objects.update(not_before=old(minutes=2))
    assert watch() == {}


def test_what_cannot_be_looked_at_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    import redis

    def away(**_: object) -> None:
        raise redis.ConnectionError

    make_dead(26, total=100)
    watch()
    Item.objects.all().delete()
    monkeypatch.setattr(watching.dead_conditions, "find_dead_burst", away)
    assert list(watch(LATER)) == ["dead.burst"]


def test_a_look_asks_the_same_whatever_has_died() -> None:
    make_dead(26, total=1_000_000)
    watch()
    with CaptureQueriesContext(connection) as few:
        watch()
    make_dead(500, total=1_000_000)
    with CaptureQueriesContext(connection) as many:
        watch()
    assert len(many) == len(few)


def test_a_budget_is_told_of_at_half_at_four_fifths_and_when_it_is_used_up() -> None:
    budget = make_budget("workspace", "10", workspace=make_workspace())
    period = BudgetPeriod.objects.create(budget=budget, rank=1, starts_at=datetime(1970, 1, 1, tzinfo=UTC))
    told = []
    for spent in ("4.99", "5", "6", "8", "9", "10"):
        BudgetPeriod.objects.filter(id=period.id).update(spent_usd=Decimal(spent))
        alerts = watch().get("budget.used", [])
        told.append([(alert.severity, alert.tellings) for alert in alerts])
    assert told == [[], [("info", 1)], [("info", 1)], [("warning", 2)], [("warning", 2)], [("critical", 3)]]
    alert = Alert.objects.get(kind="budget.used")
    assert alert.workspace_id == budget.workspace_id
    assert "100 % of its budget is spent ($10 of $10)" in alert.title
    BudgetPeriod.objects.update(extra_usd=Decimal(100))
    assert watch(LATER).get("budget.used", []) == []


@pytest.mark.parametrize("is_topped_up", [False, True])
def test_of_a_cap_that_was_raised_each_threshold_is_told_anew(*, is_topped_up: bool) -> None:
    make_endpoint()
    budget = make_budget("workspace", "100", workspace=make_workspace())
    BudgetPeriod.objects.create(budget=budget, rank=1, starts_at=datetime(1970, 1, 1, tzinfo=UTC), spent_usd=Decimal(100))
    watch()
    Alert.objects.update(acknowledged_at=timezone.now(), acknowledged_by="ann")
    if is_topped_up:
        top_up_budget(budget_id=budget.id, amount_usd=Decimal(50), now=timezone.now())
    else:
        change_budget(budget_id=budget.id, values={"cap_usd": Decimal(150)})
    told = []
    for spent in ("100", "119", "120", "150"):
        BudgetPeriod.objects.update(spent_usd=Decimal(spent))
        (alert,) = watch(LATER)["budget.used"]
        told.append((alert.severity, alert.tellings, alert.acknowledged_at, alert.data["cap_usd"]))
    assert told == [("info", 1, None, "150"), ("info", 1, None, "150"), ("warning", 2, None, "150"), ("critical", 3, None, "150")]
    events = Event.objects.filter(payload__contains="budget.used").values_list("type", flat=True)
    assert sorted(events) == ["alert.raised"] * 4 + ["alert.resolved"]


def test_a_budget_that_holds_a_job_is_used_up_whatever_is_left_of_it() -> None:
    budget = make_budget("workspace", "10", workspace=make_workspace())
    BudgetPeriod.objects.create(budget=budget, rank=1, starts_at=datetime(1970, 1, 1, tzinfo=UTC), spent_usd=Decimal("9.1"))
    Job.objects.filter(id=make_job().id).update(held_by_id=budget.id)
    (alert,) = watch()["budget.used"]
    assert (alert.severity, alert.text[:17]) == ("critical", "Jobs wait for it.")


def hold(job: Job, budget: Budget, *, spent: str) -> Budget:
    """It waits for it."""
    BudgetPeriod.objects.create(budget=budget, rank=1, starts_at=datetime(1970, 1, 1, tzinfo=UTC), spent_usd=Decimal(spent))
    Job.objects.filter(id=job.id).update(held_by_id=budget.id)
    return budget


def hold_by_its_own() -> Budget:
    job = make_job(dead=0)
    return hold(job, make_budget("job", "10", workspace=job.workspace, job_id=job.id), spent="9.5")


def test_what_holds_work_back_is_told_of_below_half_of_it_too() -> None:
    hold(make_job(dead=0), make_budget("workspace", "10", workspace=make_workspace()), spent="4")
    aside, pause = make_budget("feature", "10", subject="letters"), make_budget("feature", "0", subject="search", period="pause")
    for budget in (aside, pause):
        Aside.objects.create(budget_id=budget.id, needs_usd=Decimal(11), run_id=uuid7())
    alerts = watch()["budget.used"]
    assert [(alert.severity, alert.data["percent"]) for alert in alerts] == [("critical", 40), ("critical", 0)]


@pytest.mark.parametrize("is_topped_up", [False, True])
def test_a_job_that_stops_at_its_cap_is_told_once_until_it_is_topped_up_or_ends(*, is_topped_up: bool) -> None:
    budget = hold_by_its_own()
    for _ in range(2):
        (alert,) = watch()["budget.used"]
    assert (alert.severity, alert.tellings, alert.workspace_id) == ("critical", 1, budget.workspace_id)
    assert alert.text.startswith("The job waits for it: it may cost no more.")
    if is_topped_up:
        top_up_budget(budget_id=budget.id, amount_usd=Decimal(1), now=timezone.now())
        release_held(budget_id=budget.id)
    else:
        Job.objects.update(ended_at=timezone.now(), status=JobStatus.CANCELLED)
    assert "budget.used" not in watch(LATER)


def test_of_very_many_jobs_that_stop_some_are_told_and_no_alert_is_over_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.ops.queries.budget_conditions._MOST_HOLDING", 2)
    shared = hold(make_job(dead=0), make_budget("workspace", "10", workspace=make_workspace()), spent="1")
    first = {shared.public_id, *(hold_by_its_own().public_id for _ in range(2))}
    for _ in range(2):
        assert {alert.data["budget"] for alert in watch(LATER)["budget.used"]} == first
        hold_by_its_own()
        hold_by_its_own()


def test_work_that_waits_for_its_budget_is_not_old_nor_when_it_goes_on() -> None:
    budget = make_budget("workspace", "0", workspace=make_workspace())
    job = make_job(done=0, dead=0, running=0, waiting=2)
    Item.objects.filter(job=job).update(not_before=timezone.now() - timedelta(days=9))
    assert "work.old" in watch()
    Job.objects.filter(id=job.id).update(held_by_id=budget.id)
    Alert.objects.all().delete()
    assert "work.old" not in watch()
    release_held(budget_id=budget.id)
    assert "work.old" not in watch()


def test_an_endpoint_that_was_switched_off_is_told_of_until_it_is_on_again() -> None:
    endpoint = make_endpoint()
    assert watch() == {}
    Endpoint.objects.filter(id=endpoint.id).update(is_enabled=False, updated_at=timezone.now())
    assert watch() == {}  # by its owner
    Endpoint.objects.filter(id=endpoint.id).update(switched_off_because="It answered 410 Gone: it wants no more events.")
    (alert,) = watch()["webhook.off"]
    assert (alert.workspace_id, alert.data) == (endpoint.workspace_id, {"webhook_id": endpoint.public_id})
    Endpoint.objects.filter(id=endpoint.id).update(is_enabled=True, switched_off_because="")
    assert watch(LATER) == {}
