"""All sums of money at one moment: equal, or told where not."""

from collections.abc import Callable
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F
from django.urls import reverse
from django.utils import timezone

from apps.jobs.models import Item, Job
from apps.lib.ids import uuid7
from apps.ops.actions.prove_money import prove_money
from apps.spend.models import Charge, Proof, Reservation, Resolution
from tests.factories.accounts import make_office_client
from tests.factories.jobs import make_job

pytestmark = pytest.mark.django_db


@pytest.fixture
def job() -> Job:
    """Two charges; money had been set aside for one of them."""
    job = make_job(done=2, dead=0, running=0, waiting=0)
    Job.objects.update(cost_usd=sum(charge.cost_usd for charge in Charge.objects.all()))
    charge = Charge.objects.all()[0]
    Reservation.objects.create(
        id=charge.run_id, workspace_id=job.workspace_id, job_id=job.id, item_id=charge.item_id, amount_usd=1, period_ids=[]
    )
    Resolution.objects.create(reservation_id=charge.run_id, kind="charge", amount_usd=charge.cost_usd)
    return job


def prove() -> Proof:
    prove_money(now=timezone.now())
    return Proof.objects.order_by("-id")[0]


def test_what_is_equal(job: Job) -> None:
    proof = prove()
    job.refresh_from_db()
    assert proof.is_whole
    assert (proof.charges, proof.charged_usd, proof.jobs_usd) == (2, job.cost_usd, job.cost_usd)
    assert 0 < proof.bounded_usd == proof.ledger_usd < proof.charged_usd
    assert (proof.reserved_usd, proof.running, proof.unpriced, proof.examples) == (0, 0, 0, [])


def test_a_platform_without_charges_is_whole() -> None:
    assert prove().is_whole


@pytest.mark.usefixtures("job")
def test_calls_without_a_price_are_counted() -> None:
    Charge.objects.filter(id=Charge.objects.all()[0].id).update(price_id=None)
    assert prove().unpriced == 1


def test_a_job_that_was_forgotten_counts_as_its_charges(job: Job) -> None:
    Item.objects.all().delete()
    Job.objects.filter(id=job.id).delete()
    proof = prove()
    assert proof.is_whole
    assert proof.jobs_usd == proof.charged_usd > 0


def miscount(_: Job) -> None:
    Job.objects.update(cost_usd=F("cost_usd") + Decimal("0.000000000001"))


def lose_charges(job: Job) -> None:
    Charge.objects.filter(job_id=job.id).delete()


def forge_the_ledger(_: Job) -> None:
    Resolution.objects.update(amount_usd=F("amount_usd") * 2)


def leave_money_aside(job: Job) -> None:
    Reservation.objects.create(id=uuid7(), workspace_id=job.workspace_id, job_id=job.id, item_id=uuid7(), amount_usd=1, period_ids=[])


@pytest.mark.parametrize("broken", [miscount, lose_charges, forge_the_ledger, leave_money_aside])
def test_what_differs_is_found(broken: Callable[[Job], None], job: Job) -> None:
    broken(job)
    assert not prove().is_whole
    with pytest.raises(CommandError, match="differ"):
        call_command("prove_money", stdout=StringIO())


def test_differences_that_even_out_are_found_by_job(job: Job) -> None:
    other = make_job(workspace=job.workspace, done=2, dead=0, running=0, waiting=0)
    Job.objects.filter(id=other.id).update(cost_usd=F("cost_usd") * 0 + sum(c.cost_usd for c in Charge.objects.filter(job_id=other.id)))
    Job.objects.filter(id=job.id).update(cost_usd=F("cost_usd") + 1)
    Job.objects.filter(id=other.id).update(cost_usd=F("cost_usd") - 1)
    proof = prove()
    assert proof.charged_usd == proof.jobs_usd
    assert (proof.is_whole, proof.wrong_jobs) == (False, 2)
    assert str(job.id) in str(proof.examples)


@pytest.mark.usefixtures("job")
def test_money_is_set_aside_while_something_runs() -> None:
    job = make_job(done=0, dead=0, running=1, waiting=0)
    leave_money_aside(job)
    proof = prove()
    assert (proof.is_whole, proof.running, proof.reserved_usd) == (True, 1, 1)


@pytest.mark.usefixtures("job")
def test_the_back_office_shows_the_last_look_and_adds_up_nothing(django_assert_max_num_queries: Callable[..., object]) -> None:
    office = make_office_client()
    page = reverse("admin:spend_proof_changelist")
    assert "manage.py prove_money" in office.get(page).content.decode()
    prove()
    with django_assert_max_num_queries(15) as seen:  # type: ignore[attr-defined]  # a context manager
        assert "0 running" in office.get(page).content.decode()
    assert not [query for query in seen.captured_queries if "spend_charge" in query["sql"]]
    assert office.get(reverse("admin:spend_proof_change", args=[Proof.objects.get().pk])).status_code == 200
