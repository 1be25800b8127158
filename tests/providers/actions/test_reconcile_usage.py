"""A provider's own count beside ours, by day and model; every look is kept."""

import json
import urllib.request
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db.models import F
from django.urls import reverse

from apps.lib.ids import uuid7
from apps.spend.models import Charge, ReconciledDay, Waste
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


def answered(simulator: Simulator, number: int) -> None:
    for n in range(number):
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": str(n)}]}).encode()
        urllib.request.urlopen(urllib.request.Request(f"{simulator.base_url}/chat/completions", data=body), timeout=10).close()


def compare(simulator: Simulator) -> str:
    out = StringIO()
    call_command("reconcile", "primary", "--simulator", simulator.base_url, stdout=out)
    return out.getvalue()


def test_the_simulated_providers_own_count_is_the_other_side(simulator: Simulator) -> None:
    make_job(done=3, dead=0, running=0, waiting=0)
    Charge.objects.update(upstream_model="m", input_tokens=20, output_tokens=30)
    answered(simulator, 3)
    assert "1 days and models, all equal" in compare(simulator)
    assert ReconciledDay.objects.get().source == simulator.base_url
    answered(simulator, 1)
    Waste.objects.create(
        workspace_id=make_workspace().id, job_id=uuid7(), item_id=uuid7(), run_id=uuid7(), reason="lost", amount_usd=Decimal("0.5")
    )
    out = StringIO()
    with pytest.raises(CommandError, match="1 of 1 days and models differ"):
        call_command("reconcile", "primary", "--simulator", simulator.root, stdout=out)
    assert "requests theirs 4 ours 3, input_tokens theirs 80 ours 60, output_tokens theirs 120 ours 90" in out.getvalue()
    assert "written off as waste (lost): 1 calls, at most $0.5" in out.getvalue()


@pytest.mark.parametrize("address", ["127.0.0.1:9001", "file:///etc/passwd", "http://127.0.0.1:1"])
def test_an_address_that_tells_nothing_is_one_line(address: str) -> None:
    with pytest.raises(CommandError, match="can't be read"):
        call_command("reconcile", "primary", "--simulator", address)
    with pytest.raises(CommandError, match="required"):
        call_command("reconcile", "primary")
