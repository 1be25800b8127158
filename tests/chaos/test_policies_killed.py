"""A job with a cache, a first model and a contract, and pumps and workers killed in the middle of it: every item still ends once."""

import hashlib
import os
import signal
from collections import Counter, defaultdict
from urllib.parse import quote
from uuid import UUID

import pytest
from django.utils import timezone

from apps.jobs.actions import finish_job, submit_batch, sweep, validate_job
from apps.jobs.domain.lifecycle import ItemState, JobStatus
from apps.jobs.models import Item, Job
from apps.ops.queries.invariants import check_invariants
from apps.providers.models import Model, Provider, Target
from apps.spend.models import Charge
from apps.traces.models import Run
from tests.chaos.workers import QUICK, claiming_pids, run_out, until, worker
from tests.jobs.batches import CHAT, file_lines, input_line, jsonl, make_input_file
from tests.jobs.rows import make_workspace
from tests.simulated import Simulator

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.chaos, pytest.mark.timeout(900)]

WINDOW = int(QUICK["JOBS_MAX_IN_FLIGHT"])
SCHEMA = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}
GOOD, BAD = quote('{"n":1}'), quote('{"n":"x"}')
# What the simulator says to each kind, and the models whose answers are paid for: the first one's, the model's, and its repair's.
KINDS = {
    "accepted": (f"say={GOOD}", ["tiny"]),
    "mended": (f"say={BAD} repair={GOOD}", ["tiny", "small", "small"]),
    "wrong": (f"say={BAD} repair={BAD}", ["tiny", "small", "small"]),
    "same": (f"say={GOOD}", ["tiny"]),
}
OF_A_KIND = 100
# The last kind asks each of its questions so often.
COPIES = 5
KILLS = 3


def submit(simulator: Simulator) -> Job:
    """The kinds one after another, so that each moment has some of all of them in the air."""
    provider = Provider.objects.create(name="simulated", base_url=simulator.base_url)
    for name in ("small", "tiny"):
        Target.objects.create(model=Model.objects.create(name=name), provider=provider, upstream_model=name)
    workspace = make_workspace()
    lines = [line(kind, n) for n in range(OF_A_KIND) for kind in KINDS]
    metadata = {"cache": "3600", "output_contract": "on", "first_model": "tiny", "accept_if": "schema"}
    file = make_input_file(jsonl(lines), workspace=workspace)
    request = {"input_file_id": file.public_id, "endpoint": CHAT, "completion_window": "24h", "metadata": metadata}
    job = submit_batch(workspace_id=workspace.id, api_key_id=None, values=request, now=timezone.now())
    validate_job(job_id=job.id, clock=timezone.now)
    job.refresh_from_db()
    assert (job.status, job.total) == (JobStatus.RUNNING, len(lines))
    return job


def line(kind: str, n: int) -> dict[str, object]:
    question = n % (OF_A_KIND // COPIES) if kind == "same" else n
    messages = [{"role": "user", "content": f"[[sim {KINDS[kind][0]} delay=0.3]] {kind} {question}"}]
    return input_line(f"{kind}-{n}", body={"model": "small", "messages": messages, "response_format": FORMAT})


def some_have_ended(job: Job, number: int) -> bool:
    job.refresh_from_db()
    return job.done + job.dead >= number


def test_killed_in_the_middle_of_a_policy_every_item_ends_once_and_no_answer_is_paid_twice(simulator: Simulator) -> None:
    began = timezone.now()
    with worker("exec") as first:
        job = submit(simulator)
        until(lambda: some_have_ended(job, 60), "some had ended", meanwhile=sweep)
        os.kill(claiming_pids()[0], signal.SIGKILL)
        until(lambda: some_have_ended(job, 140), "more had ended", meanwhile=sweep)
        for member in [first, *first.children(recursive=True)]:
            member.kill()
        first.wait()
        with worker("exec"):
            run_out(job)
    assert_each_ended_as_its_kind_does(job)
    assert_what_was_lost_is_what_was_in_the_air(job, simulator)
    assert_the_files_hold_each_item_once(job)
    assert [finding for finding in check_invariants(since=began, at_rest=True) if finding.broken] == []


def assert_each_ended_as_its_kind_does(job: Job) -> None:
    job.refresh_from_db()
    items = {item.custom_id: item for item in Item.objects.filter(job=job)}
    assert Counter((name.partition("-")[0], item.state, item.error_code) for name, item in items.items()) == {
        ("accepted", ItemState.DONE, ""): OF_A_KIND,
        ("mended", ItemState.DONE, ""): OF_A_KIND,
        ("wrong", ItemState.DEAD, "output_contract"): OF_A_KIND,
        ("same", ItemState.DONE, ""): OF_A_KIND,
    }
    assert (job.done, job.dead) == (3 * OF_A_KIND, OF_A_KIND)
    charged = defaultdict(list)
    for charge in Charge.objects.filter(job_id=job.id).order_by("item_id", "seq"):
        charged[charge.item_id].append((charge.seq, charge.upstream_model))
    cached = [name for name, item in items.items() if item.answered_by == "cache"]
    assert {name.partition("-")[0] for name in cached} == {"same"}
    assert len(cached) == job.cache_hits > 0
    for name, item in items.items():
        expected = [] if item.answered_by == "cache" else KINDS[name.partition("-")[0]][1]
        assert charged[item.id] == list(enumerate(expected)), name
    assert sum(Charge.objects.filter(job_id=job.id).values_list("cost_usd", flat=True)) == job.cost_usd


def assert_what_was_lost_is_what_was_in_the_air(job: Job, simulator: Simulator) -> None:
    """Each run was charged for just the good answers that the provider gave it; those of runs that a kill has ended, nobody pays."""
    outcomes = dict(Run.objects.filter(job_id=job.id).values_list("id", "outcome"))
    charged = Counter(Charge.objects.filter(job_id=job.id).values_list("run_id", flat=True))
    given = simulator.answers()
    answered = {run_id: number for run_id in outcomes if (number := given.pop(hash_of(run_id), 0))}
    assert given == {}
    lost = {run_id for run_id, outcome in outcomes.items() if outcome == "lost"}
    assert 0 < len(lost) <= KILLS * WINDOW
    assert not lost & set(charged)
    assert {run_id: number for run_id, number in answered.items() if run_id not in lost} == charged
    assert max((answered.get(run_id, 0) for run_id in lost), default=0) <= 3


def assert_the_files_hold_each_item_once(job: Job) -> None:
    finish_job(job_id=job.id, clock=timezone.now)
    job.refresh_from_db()
    output, errors = file_lines(job.output_file_id), file_lines(job.error_file_id)
    told = Counter((line["custom_id"].partition("-")[0], (line["response"] or {}).get("served_by")) for line in output + errors)
    assert told.pop(("same", None)) + told.pop(("same", "simulated/tiny")) == OF_A_KIND
    assert told == {
        ("accepted", "simulated/tiny"): OF_A_KIND,
        ("mended", "simulated/small"): OF_A_KIND,
        ("wrong", None): OF_A_KIND,
    }
    assert len({line["custom_id"] for line in output + errors}) == job.total


def hash_of(run_id: UUID) -> str:
    """As the simulator remembers a request's id."""
    return hashlib.blake2b(str(run_id).encode(), digest_size=8).hexdigest()
