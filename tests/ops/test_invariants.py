"""Each promise is found broken when its rows are, and whole when they are not."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F
from django.utils import timezone

from apps.files.models import File
from apps.jobs.actions import finish_job
from apps.jobs.domain.lifecycle import ItemState, JobStatus
from apps.jobs.models import Item, Job
from apps.lib.ids import uuid7
from apps.ops.queries.invariants import INVARIANTS, check_invariants
from apps.providers.domain.outcomes import Outcome
from apps.spend.actions import roll_up
from apps.spend.domain.spending import SUMS
from apps.spend.models import Budget, BudgetPeriod, Charge, Reservation, Resolution, Rollup
from apps.traces.models import Run
from apps.webhooks.models import Delivery, DeliveryState, Event
from tests.factories.webhooks import make_endpoint
from tests.jobs.actions.test_settle import claim, finished, settle
from tests.jobs.batches import clock, input_line, jsonl, validated
from tests.jobs.rows import make_workspace
from tests.spend.purses import make_budget

pytestmark = pytest.mark.django_db

LINES = 6


def found(*, at_rest: bool = True) -> list[str]:
    """The names of the promises that are broken."""
    findings = check_invariants(since=timezone.now() - timedelta(days=1), at_rest=at_rest)
    return [finding.name for finding in findings if finding.broken]


def new_batch() -> Job:
    """A batch that was made just now, whatever the time of its tests is."""
    job = validated(jsonl(input_line(f"n{n}") for n in range(LINES)))
    Job.objects.update(created_at=timezone.now())
    return job


@pytest.fixture
def job() -> Job:
    """A batch that has ended: five lines done, one dead; its end was delivered."""
    make_endpoint(make_workspace())
    make_budget("workspace", "100", workspace=make_workspace(), period="month")
    job = new_batch()
    first, *others = claim()
    settle(finished(first, Outcome.REJECTED), *map(finished, others))
    finish_job(job_id=job.id, clock=clock)
    Delivery.objects.update(state=DeliveryState.DELIVERED)
    job.refresh_from_db()
    assert (job.status, job.done, job.dead) == (JobStatus.COMPLETED, LINES - 1, 1)
    return job


def done(job: Job) -> Item:
    return Item.objects.filter(job=job, state=ItemState.DONE).order_by("id")[0]


def lose_an_item(job: Job) -> None:
    Item.objects.filter(id=done(job).id).delete()


def leave_a_lease(job: Job) -> None:
    Item.objects.filter(id=done(job).id).update(lease_until=timezone.now())


def miscount(job: Job) -> None:
    Job.objects.filter(id=job.id).update(done=LINES)


def lose_a_charge(job: Job) -> None:
    Charge.objects.filter(item_id=done(job).id).delete()


def charge_again(job: Job) -> None:
    charge = Charge.objects.get(item_id=done(job).id)
    Charge.objects.create(**{field.attname: getattr(charge, field.attname) for field in Charge._meta.fields} | {"id": uuid7(), "seq": 5})


def end_twice(job: Job) -> None:
    run = Run.objects.get(item_id=done(job).id)
    Run.objects.create(**{field.attname: getattr(run, field.attname) for field in Run._meta.fields} | {"id": uuid7()})


def forget_why(job: Job) -> None:
    Item.objects.filter(job=job, state=ItemState.DEAD).update(outcome="")


def open_again(job: Job) -> None:
    Item.objects.filter(job=job, state=ItemState.DEAD).update(state=ItemState.WAITING, run_id=None, ended_at=None)


def untell(_: Job) -> None:
    Event.objects.all().delete()


def write_twice(job: Job) -> None:
    """The output file in place of the error file: one line is missing, five stand twice."""
    Job.objects.filter(id=job.id).update(error_file=job.output_file_id)


def undeliver(_: Job) -> None:
    Delivery.objects.update(state=DeliveryState.WAITING)


def leave_money_aside(job: Job) -> None:
    Reservation.objects.create(
        id=uuid7(), workspace=job.workspace, job_id=job.id, item_id=done(job).id, amount_usd=Decimal("0.01"), period_ids=[]
    )


def miscount_a_budget(job: Job) -> None:
    budget = Budget.objects.create(scope="workspace", workspace=job.workspace, period="total", cap_usd=Decimal(1))
    BudgetPeriod.objects.create(budget=budget, rank=1, starts_at=timezone.now(), spent_usd=Decimal("0.5"))


def forge_the_ledger(_: Job) -> None:
    Resolution.objects.filter(kind="charge").update(amount_usd=F("amount_usd") + 1)


def leave_money_reserved(_: Job) -> None:
    BudgetPeriod.objects.update(reserved_usd=1)


def add_twice(job: Job) -> None:
    """The one thing that roll-ups must never do."""
    roll_up()
    nothing = dict.fromkeys(SUMS, 0) | {"calls": 1}
    values = {"begins_at": timezone.now(), "feature": "", "lane": "", "upstream_model": ""}
    Rollup.objects.create(id=uuid7(), workspace_id=job.workspace_id, **nothing, **values)


def take_for_documents(job: Job) -> None:
    """Its items have no places in a recipe."""
    Job.objects.filter(id=job.id).update(kind="documents")


BREAKS: dict[str, Callable[[Job], None]] = {
    "lines": lose_an_item,
    "states": leave_a_lease,
    "counters": miscount,
    "charges": charge_again,
    "answers": end_twice,
    "deaths": forget_why,
    "reservations": leave_money_aside,
    "budgets": miscount_a_budget,
    "ends": open_again,
    "places": take_for_documents,
    "events": untell,
    "ledger": forge_the_ledger,
    "sums": add_twice,
    "files": write_twice,
    "nothing open": open_again,
    "deliveries": undeliver,
    "nothing reserved": leave_money_reserved,
}


@pytest.mark.usefixtures("job")
def test_what_is_whole_breaks_no_promise() -> None:
    assert found() == []
    call_command("check_invariants", "--at-rest")


@pytest.mark.parametrize("name", BREAKS)
def test_a_broken_promise_is_found(name: str, job: Job) -> None:
    BREAKS[name](job)
    assert name in found()
    with pytest.raises(CommandError, match=name):
        call_command("check_invariants", "--at-rest")


def test_an_answer_without_a_charge_is_found(job: Job) -> None:
    lose_a_charge(job)
    assert {"charges", "answers"} <= set(found())


def test_every_promise_has_a_way_to_break_it() -> None:
    assert set(BREAKS) == {one.name for one in INVARIANTS}
    assert all(one.promise for one in INVARIANTS)


def test_work_that_goes_on_breaks_only_what_holds_at_rest() -> None:
    new_batch()
    claim(room=2)
    assert found(at_rest=False) == []
    assert found() == ["nothing open"]


def test_a_file_that_was_deleted_breaks_nothing(job: Job) -> None:
    File.objects.filter(id=job.output_file_id).update(deleted_at=timezone.now())
    assert found() == []
