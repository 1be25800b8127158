"""A recipe of four steps, killed and broken at each of them: what is answered is never asked again, and every document has its answer."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apps.jobs.actions import submit_documents, sweep
from apps.jobs.domain.lifecycle import JobStatus
from apps.jobs.domain.recipe import Each, Plan, Step
from apps.jobs.models import Item, Job, JobDocument, Pump, StepItem
from apps.ops.queries.invariants import check_invariants
from apps.providers.models import Model, Provider, Target
from apps.spend.models import Charge, Price
from apps.traces.models import Run
from tests.chaos.tables import note
from tests.chaos.test_crash_matrix import BEGIN, SMALL, WINDOW, Workers, has_status, kept_in, working
from tests.chaos.workers import until
from tests.factories.knowledge import make_collection, make_read
from tests.factories.recipes import make_recipe
from tests.simulated import Simulator
from tests.spend.purses import make_budget

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.chaos, pytest.mark.timeout(900)]

PLAN = Plan((
    Step("map", Each.PART, "[[sim delay=0.1]] {{ document }}: {{ text }}", "first", part_tokens=8),
    Step("reduce", Each.DOCUMENT, "[[sim delay=0.1]] {{ document }}: {{ map }}", "second", after=("map",)),
    Step("label", Each.DOCUMENT, "[[sim delay=0.1]] {{ document }}: {{ reduce }}", "third", after=("reduce",)),
    Step("sum", Each.JOB, "[[sim delay=0.1]] {{ label }}", "fourth", after=("label",)),
))  # fmt: skip
DOCUMENTS = 8
# Two parts each, then one of each document in two steps, and one of all.
ITEMS = {"map": 2 * DOCUMENTS, "reduce": DOCUMENTS, "label": DOCUMENTS, "sum": 1}
# Where requests of a step are written, and where a pump takes its items through.
WRITING = ("advance.before_commit", "advance.after_commit")
RUNNING = ("claim.before_commit", "claim.after_commit", "call.before_send", "call.answered", "settle.before_commit", "settle.after_commit")
# An answer that our own code broke on leaves no word of what it cost, and one that can't be settled alone is taken for one that can't be
# stored: its item dies, and waits for a person.
ELSEWISE = {*((step, "call.answered", "raise") for step in ITEMS), ("sum", "settle.before_commit", "raise")}
CASES = [(step, point, action) for step in ITEMS for point in WRITING + RUNNING for action in ("kill", "raise")]
CASES = [case for case in CASES if case not in ELSEWISE]
ALWAYS = {
    ("map", "advance.before_commit", "kill"),
    ("reduce", "advance.after_commit", "kill"),
    ("reduce", "call.answered", "kill"),
    ("label", "settle.before_commit", "kill"),
    ("sum", "advance.before_commit", "kill"),
}
PARAMETERS = [pytest.param(case, marks=() if case in ALWAYS else pytest.mark.long, id="-".join(case)) for case in CASES]


@pytest.fixture(scope="module")
def workers(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    """One pair for all cases."""
    with working(tmp_path_factory.mktemp("documents"), SMALL) as made:
        yield made


def submit(simulator: Simulator) -> Job:
    """No model answers yet."""
    provider = Provider.objects.create(name="simulated", base_url=simulator.base_url)
    for step in PLAN.steps:
        model = Model.objects.create(name=step.model)
        Target.objects.create(model=model, provider=provider, upstream_model=step.model, paused_at=timezone.now())
        prices = {"input_usd_per_million": 1, "output_usd_per_million": 10}
        Price.objects.create(provider_id=provider.id, upstream_model=step.model, effective_from=BEGIN, **prices)
    collection = make_collection()
    # So that money is set aside for every run, and what was paid for nothing is known; none of them is used up.
    make_budget(cap="1000")
    make_budget("workspace", "1000", workspace=collection.workspace)
    make_read({f"{n}.txt": f"The first part of {n}.\n\nThe second part of {n}." for n in range(DOCUMENTS)}, collection=collection)
    recipe = make_recipe(collection.workspace, plan=PLAN)
    return submit_documents(workspace_id=collection.workspace_id, recipe_id=recipe.id, collection_id=collection.id, now=timezone.now())


def let_answer(*steps: Step) -> None:
    Target.objects.filter(model__name__in=[step.model for step in steps]).update(paused_at=None)


def is_asked(job: Job, step: Step) -> bool:
    return StepItem.objects.filter(job_id=job.id, step=step.name).count() == ITEMS[step.name]


@pytest.mark.parametrize("case", PARAMETERS)
def test_no_step_that_was_answered_is_asked_again(
    workers: Workers, case: tuple[str, str, str], simulator: Simulator, settings: Any
) -> None:
    kept_in(settings, workers.storage)
    name, point, action = case
    began, points = timezone.now(), workers.points
    place = list(ITEMS).index(name)
    struck, earlier = PLAN.steps[place], PLAN.steps[:place]
    # Requests of the first step are written as soon as it is submitted, those of others once the step before has its answers.
    before = earlier[:-1] if point in WRITING else earlier
    if point in WRITING and not earlier:
        points.arm(point, action)
    job = submit(simulator)
    let_answer(*before)
    if point in RUNNING:
        until(lambda: is_asked(job, struck), f"{name} was asked", meanwhile=sweep)
        points.arm(point, action)
    elif earlier:
        until(lambda: is_asked(job, earlier[-1]), f"{earlier[-1].name} was asked", meanwhile=sweep)
        points.arm(point, action)
    let_answer(*earlier[len(before) :], *([struck] if point in RUNNING else []))
    until(lambda: points.has_fired(point), f"{point} was passed", meanwhile=sweep)
    let_answer(*PLAN.steps)
    until(has_status(job, JobStatus.COMPLETED), "the job completed", meanwhile=sweep)
    points.disarm()
    assert_each_was_answered_once(job, simulator, case)
    until(lambda: not Pump.objects.filter(ended_at=None).exists(), "the pumps ended", meanwhile=sweep)
    findings = check_invariants(since=began - timedelta(minutes=1), at_rest=True)
    assert [finding for finding in findings if finding.broken] == []


def assert_each_was_answered_once(job: Job, simulator: Simulator, case: tuple[str, str, str]) -> None:
    struck, point, _ = case
    steps = dict(StepItem.objects.filter(job_id=job.id).values_list("item_id", "step"))
    assert Counter(steps.values()) == ITEMS
    assert Counter(Item.objects.filter(job=job).values_list("state", flat=True)) == {"done": sum(ITEMS.values())}
    assert Counter(Charge.objects.filter(job_id=job.id).values_list("item_id", flat=True)) == Counter(list(steps))
    assert Counter(JobDocument.objects.filter(job=job).values_list("state", flat=True)) == {"answered": DOCUMENTS}
    again = [steps[item_id] for item_id in Run.objects.filter(job_id=job.id).exclude(decision="done").values_list("item_id", flat=True)]
    extra = simulator.calls()["total"] - sum(ITEMS.values())
    note("Recipes", ("step", "point", "action", "items", "extra calls", "runs again"), (*case, len(steps), extra, len(again)))
    # What was in the air may be asked once more; a step that had its answers, never; and whoever writes requests asks nobody.
    assert set(again) <= {struck}
    assert 0 <= extra <= (0 if point in WRITING else min(WINDOW, ITEMS[struck]))
