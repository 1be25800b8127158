"""A worker is killed between the tool calls of an item: no write happens twice, no step is paid twice, and the answer arrives."""

from collections import Counter
from pathlib import Path

import pytest
from django.utils import timezone

from apps.accounts.models import Workspace
from apps.jobs.actions import finish_job, sweep
from apps.jobs.domain.lifecycle import ItemState
from apps.jobs.models import Item
from apps.lib.failpoints import POINTS, VARIABLE
from apps.ops.queries.invariants import check_invariants
from apps.spend.models import Charge
from apps.traces.models import Effect
from tests.chaos.points import Points
from tests.chaos.workers import until, worker
from tests.jobs import scribe
from tests.jobs.actions.test_tools import make_model, make_tool_job, platform, said, script
from tests.jobs.rows import make_workspace
from tests.simulated import Simulator

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.chaos, pytest.mark.timeout(600)]
STEPS = 2
BETWEEN = [*(point for point in POINTS if point.startswith("tool.")), "settle.after_commit"]


def test_no_write_happens_twice_and_no_step_is_paid_twice(simulator: Simulator, tmp_path: Path) -> None:
    """At each point between two steps, in one item after another."""
    began = timezone.now()
    points, book = Points(tmp_path / "points"), tmp_path / "book"
    points.folder.mkdir()
    book.touch()
    settings = {VARIABLE: str(points.folder), "AIPLATFORM_TOOLS": "tests.jobs.scribe", scribe.BOOK: str(book)}
    model = make_model(simulator)
    prompt = script("write_line,look,add_dot", rounds=STEPS, say="All done.")
    with worker("exec", **settings):
        for number, point in enumerate(BETWEEN, start=1):
            points.arm(point, "kill")
            job = make_tool_job(model, prompt, platform("write_line", "look", "add_dot"), workspace=make_workspace(f"w{number}"))
            until(lambda: Item.objects.get(job=job).state == ItemState.DONE, f"an item ended after {point}", meanwhile=sweep)  # noqa: B023 -- called at once
            assert points.has_fired(point), point
            finish_job(job_id=job.id, clock=timezone.now)
            item = Item.objects.get(job=job)
            assert said(job) == "All done."
            charges = Charge.objects.filter(item_id=item.id)
            assert sorted(charge.seq for charge in charges) == list(range(item.paid_calls))
            # Killed once, what may have been lost is one answer that nobody heard.
            assert item.paid_calls == STEPS + 1, point
            effects = Effect.objects.filter(item_id=item.id)
            assert effects.count() == STEPS * 3
            assert not effects.filter(ended_at=None).exists()
            unknown = set(effects.filter(outcome="unknown").values_list("tool", flat=True))
            assert unknown == ({"write_line"} if point == "tool.begun" else set()), point
            done = Counter(line.split()[1] for line in book.read_text().splitlines() if line.startswith(f"write {item.id.hex}"))
            assert set(done.values()) == {1}, point
            assert len(done) == STEPS - len(unknown)
            # The tool that writes into the database alone has written exactly once for each call.
            assert Workspace.objects.get(id=job.workspace_id).name == f"w{number}" + "." * STEPS
    assert [finding for finding in check_invariants(since=began, at_rest=True) if finding.broken] == []
