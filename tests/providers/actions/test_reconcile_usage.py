"""A provider's own count beside ours, by day and model; every look is kept."""

import json
import urllib.request
from collections.abc import Iterable
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F
from django.urls import reverse
from django.utils import timezone

from apps.lib.ids import uuid7
from apps.ops.simulator.tally import hash_of
from apps.spend.domain.usage_export import ExportInvalidError
from apps.spend.domain.witness import read_witness
from apps.spend.models import Charge, ReconciledDay, Waste
from apps.traces.models import Run
from tests.factories.accounts import make_office_client, make_workspace
from tests.factories.jobs import make_job
from tests.simulated import Simulator

pytestmark = pytest.mark.django_db
HEAD = "day,model,requests,input_tokens,cached_input_tokens,output_tokens,cost_usd"


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """What a provider would tell that was used for three charges, all on one day."""
    make_job(done=3, dead=0, running=0, waiting=0)
    Charge.objects.update(created_at="2026-11-20T23:59:59Z", cached_input_tokens=2, cache_write_tokens=1, reasoning_tokens=4)
    charges = list(Charge.objects.all())
    given = sum(charge.input_tokens + 3 for charge in charges)
    said = sum(charge.output_tokens + 4 for charge in charges)
    path = tmp_path / "usage.csv"
    path.write_text(f"{HEAD}\n2026-11-20,{charges[0].upstream_model},3,{given},6,{said},{sum(charge.cost_usd for charge in charges)}\n")
    return path


def run(path: Path, provider: str = "primary") -> str:
    out = StringIO()
    call_command("reconcile", provider, str(path), stdout=out)
    return out.getvalue()


def test_equal_when_everything_told_is_what_was_charged(export: Path) -> None:
    assert "1 days and models, all equal" in run(export)
    row = ReconciledDay.objects.get()
    assert (row.is_equal, row.source, row.our_requests, row.our_cached_input_tokens) == (True, "usage.csv", 3, 6)


def test_a_column_that_the_export_lacks_is_not_compared(export: Path) -> None:
    model = Charge.objects.all()[0].upstream_model
    export.write_text(f"day,model,requests\n2026-11-20,{model},3\n")
    assert "all equal" in run(export)


def test_a_charge_too_few_is_told_and_kept(export: Path) -> None:
    Charge.objects.all()[0].delete()
    with pytest.raises(CommandError, match="1 of 1 days and models differ"):
        run(export)
    row = ReconciledDay.objects.get()
    assert (row.is_equal, row.their_requests, row.our_requests) == (False, 3, 2)


def test_what_only_we_or_only_they_know_differs(export: Path) -> None:
    Charge.objects.update(created_at=F("created_at"), upstream_model="ours")
    with pytest.raises(CommandError, match="2 of 2"):
        run(export)
    rows = {row.upstream_model: row for row in ReconciledDay.objects.all()}
    assert rows.pop("ours").their_requests == 0
    assert [row.our_requests for row in rows.values()] == [0]


def test_the_next_day_is_not_this_one(export: Path) -> None:
    Charge.objects.update(created_at="2026-11-21T00:00:00Z")
    with pytest.raises(CommandError, match="1 of 1"):
        run(export)


def test_wrong_exports_and_names_are_told(export: Path) -> None:
    with pytest.raises(CommandError, match="no provider 'other'"):
        run(export, "other")
    export.write_text("day,model,requests\n2026-11-20,m,many\n")
    with pytest.raises(CommandError, match="Row 1: 'requests'"):
        run(export)
    assert not ReconciledDay.objects.exists()


def test_the_back_office_shows_theirs_beside_ours(export: Path) -> None:
    office = make_office_client()
    assert "manage.py reconcile" in office.get(reverse("admin:spend_reconciledday_changelist")).content.decode()
    run(export)
    page = office.get(reverse("admin:spend_reconciledday_changelist")).content.decode()
    assert "3 / 3" in page
    row = ReconciledDay.objects.get()
    assert office.get(reverse("admin:spend_reconciledday_change", args=[row.pk])).status_code == 200
    assert office.post(reverse("admin:spend_reconciledday_delete", args=[row.pk]), {"post": "yes"}).status_code == 403


def deliver(simulator: Simulator, runs: Iterable[UUID | None]) -> None:
    """An answer of 20 and 30 tokens to each of these runs; None: to somebody who names none."""
    for run_id in runs:
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": str(run_id)}]}).encode()
        headers = {"X-Client-Request-Id": str(run_id)} if run_id else {}
        request = urllib.request.Request(f"{simulator.base_url}/chat/completions", data=body, headers=headers)
        urllib.request.urlopen(request, timeout=60).close()


def charged_runs() -> list[UUID]:
    """Three runs that were charged what the simulator answers."""
    make_job(done=3, dead=0, running=0, waiting=0)
    Charge.objects.update(upstream_model="m", input_tokens=20, output_tokens=30)
    return list(Charge.objects.order_by("id").values_list("run_id", flat=True))


def write_off(run_id: UUID, **values: Any) -> None:
    workspace_id = make_workspace().id
    amount = Decimal("0.5")
    Waste.objects.create(workspace_id=workspace_id, job_id=uuid7(), item_id=uuid7(), run_id=run_id, amount_usd=amount, **values)


def make_lost_run(run_id: UUID) -> None:
    """Of an item that no budget bounds: its worker died, and nothing had been set aside."""
    now = timezone.now()
    ids = {"workspace_id": make_workspace().id, "job_id": uuid7(), "item_id": uuid7()}
    Run.objects.create(id=run_id, attempt=1, outcome="lost", decision="retry", claimed_at=now, ended_at=now, **ids)


def compare(simulator: Simulator) -> str:
    out = StringIO()
    call_command("reconcile", "primary", "--simulator", simulator.base_url, stdout=out)
    return out.getvalue()


def refused(simulator: Simulator) -> str:
    out = StringIO()
    with pytest.raises(CommandError, match="days and models differ"):
        call_command("reconcile", "primary", "--simulator", simulator.root, stdout=out)
    return out.getvalue()


def test_each_call_that_the_simulated_provider_delivered_is_one_that_was_charged(simulator: Simulator) -> None:
    deliver(simulator, charged_runs())
    assert "1 days and models, all equal: 3 calls charged." in compare(simulator)
    row = ReconciledDay.objects.get()
    assert (row.source, row.is_equal, row.their_requests, row.wasted_requests) == (simulator.base_url, True, 3, 0)


def test_an_answer_to_a_run_that_was_given_up_is_waste_and_no_difference(simulator: Simulator) -> None:
    killed, cut, kept_nothing = uuid7(), uuid7(), uuid7()
    deliver(simulator, [*charged_runs(), killed, cut, kept_nothing])
    write_off(killed, reason="lost")
    write_off(cut, reason="ambiguous", provider_id=Charge.objects.all()[0].provider_id)
    make_lost_run(kept_nothing)
    told = compare(simulator)
    assert "all equal: 3 calls charged and 3 that were lost on the way." in told
    assert "delivered and not charged (ambiguous): 1 call\ndelivered and not charged (lost): 2 calls\n" in told
    assert "at most $1\n" in told
    assert [line.split() for line in told.splitlines() if line.startswith("  requests")] == [["requests", "6", "3", "3", "0"]]
    row = ReconciledDay.objects.get()
    assert (row.is_equal, row.wasted_requests, row.wasted_input_tokens, row.wasted_output_tokens) == (True, 3, 60, 90)


def test_an_answer_that_nobody_can_explain_differs(simulator: Simulator) -> None:
    runs = charged_runs()
    unknown = uuid7()
    deliver(simulator, [*runs, unknown])
    assert f"{hash_of(str(unknown).encode()).hex()}: delivered, and neither charged nor given up" in refused(simulator)


def test_an_answer_twice_is_explained_by_as_many_calls_as_were_written_off(simulator: Simulator) -> None:
    first, *rest = charged_runs()
    deliver(simulator, [first, first, *rest])
    write_off(first, reason="ambiguous", seq=1, provider_id=Charge.objects.all()[0].provider_id)
    assert "3 calls charged and 1 that were lost on the way" in compare(simulator)
    deliver(simulator, [first])
    assert "neither charged nor given up" in refused(simulator)


def test_a_charge_without_an_answer_differs_and_so_do_other_tokens(simulator: Simulator) -> None:
    first, *rest = charged_runs()
    deliver(simulator, rest)
    assert "charged, and not delivered" in refused(simulator)
    deliver(simulator, [first])
    Charge.objects.filter(run_id=first).update(input_tokens=21)
    lines = [line.split() for line in refused(simulator).splitlines() if line.startswith("  input_tokens")]
    assert lines == [["input_tokens", "60", "61", "0", "-1"]]


def test_an_answer_to_nobody_known_differs(simulator: Simulator) -> None:
    deliver(simulator, [*charged_runs(), None])
    assert "1 of m on" in refused(simulator)


def test_waste_of_a_day_explains_as_many_calls_and_dollars_of_an_export(export: Path) -> None:
    first, second = list(Charge.objects.order_by("id"))[:2]
    write_off(uuid7(), reason="lost")
    write_off(uuid7(), reason="ambiguous", provider_id=first.provider_id, upstream_model=first.upstream_model)
    Waste.objects.update(created_at="2026-11-20T12:00:00Z", amount_usd=first.cost_usd)
    first.delete()
    told = run(export)
    assert "all equal: 2 calls charged and 1 that were lost on the way" in told
    assert "2026-11-20 written off as waste (lost): 1 call, at most $" in told
    Waste.objects.update(amount_usd=first.cost_usd / 4)
    with pytest.raises(CommandError, match="1 of 1 days and models differ"):
        run(export)
    Waste.objects.update(amount_usd=second.cost_usd, created_at="2026-11-19T12:00:00Z")
    with pytest.raises(CommandError, match="1 of 1 days and models differ"):
        run(export)


def test_what_is_no_count_of_a_simulated_provider_is_one_line() -> None:
    with pytest.raises(ExportInvalidError, match="no count of a simulated provider"):
        read_witness('{"data": []}')
    with pytest.raises(ExportInvalidError, match="no count of a simulated provider"):
        read_witness('{"since": "2026-11-22T00:00:00Z", "calls": {"ab": [["2026-11-22", "m", 1]]}, "others": []}')


@pytest.mark.parametrize("address", ["127.0.0.1:9001", "file:///etc/passwd", "http://127.0.0.1:1"])
def test_an_address_that_tells_nothing_is_one_line(address: str) -> None:
    with pytest.raises(CommandError, match="can't be read"):
        call_command("reconcile", "primary", "--simulator", address)
    with pytest.raises(CommandError, match="required"):
        call_command("reconcile", "primary")
