"""Workers that can write no more, or open nothing more: what they were about stays as it was, and goes on once there is room."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from django.conf import settings
from django.utils import timezone

from apps.files.models import File
from apps.jobs.actions import sweep, validate_job
from apps.jobs.domain.lifecycle import JobStatus
from apps.jobs.models import Item, Job
from apps.lib.advisory_lock import advisory_lock
from apps.lib.redis_client import redis_client
from apps.traces.models import Run
from tests.chaos.test_pumps import assert_each_ended_once
from tests.chaos.test_pumps import submit as submit_calls
from tests.chaos.workers import run_out, until, worker
from tests.jobs.batches import clock, end_item, file_lines, input_line, jsonl, submit
from tests.simulated import Simulator

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.chaos, pytest.mark.timeout(900)]

LINES = 400
ROOM = 1_000_000


@contextmanager
def limited(process: psutil.Process, resource: int, most: int) -> Iterator[None]:
    """The process and its children may have so much of something; what they have already stays."""
    family = [process, *process.children(recursive=True)]
    before = [member.rlimit(resource) for member in family]
    for member, (_, hard) in zip(family, before, strict=True):
        member.rlimit(resource, (most, hard))
    yield
    for member, limits in zip(family, before, strict=True):
        if member.is_running():
            member.rlimit(resource, limits)


def storage() -> Path:
    return Path(settings.STORAGES["default"]["OPTIONS"]["location"])


def stored() -> list[str]:
    return sorted(str(path.relative_to(storage())) for path in storage().rglob("*") if path.is_file())


def status_of(job: Job) -> str:
    return Job.objects.values_list("status", flat=True).get(id=job.id)


def what_a_try_left(job: Job) -> tuple[list[str], int] | None:
    """(what is stored, how many files there are) after a worker has begun to finish the job and while none is at it; None before."""
    with advisory_lock(job.id) as is_mine:
        return (stored(), File.objects.count()) if is_mine and status_of(job) == JobStatus.FINISHING else None


def test_a_disk_that_fills_up_under_the_output_files_costs_delay_and_no_line() -> None:
    """About 8 MB of answers where 1 MB can be written; the job waits with what it has, and its file has every line afterwards."""
    job = submit(jsonl(input_line(f"{n}") for n in range(LINES)))
    validate_job(job_id=job.id, clock=clock)
    end_item(Item.objects.filter(job=job).first() or Item(), answer=b'{"text": "' + b"x" * 20_000 + b'"}')
    answered = Item.objects.filter(job=job, state="done").get()
    Item.objects.filter(job=job).update(state="done", status_code=200, answer_body_id=answered.answer_body_id)
    Job.objects.filter(id=job.id).update(expires_at=timezone.now() + timedelta(hours=1))
    redis_client().delete("ingest")
    before, files = stored(), File.objects.count()
    left: list[tuple[list[str], int]] = []

    def was_tried() -> bool:
        left.extend(seen for seen in [what_a_try_left(job)] if seen)
        return bool(left)

    with worker("ingest", AIPLATFORM_STORAGE=str(storage())) as process:
        with limited(process, psutil.RLIMIT_FSIZE, ROOM):
            until(was_tried, "it was tried", meanwhile=sweep)
            assert left == [(before, files)]
        until(lambda: status_of(job) == JobStatus.COMPLETED, "the job ended", meanwhile=sweep)
    job.refresh_from_db()
    assert len({line["custom_id"] for line in file_lines(job.output_file_id)}) == LINES
    assert (len(file_lines(job.output_file_id)), job.error_file_id) == (LINES, None)
    assert len(stored()) == len(before) + 1


@pytest.mark.long
def test_a_worker_without_file_descriptors_loses_nothing(simulator: Simulator) -> None:
    """Two pumps with 40 calls in the air each, where there are descriptors for about half of them.

    A pump that can't connect to anything any more may end; what it had in the air is made again.
    """
    with worker("exec") as process:
        most = max(child.num_fds() for child in process.children(recursive=True)) + 25
        with limited(process, psutil.RLIMIT_NOFILE, most):
            job = submit_calls(simulator, 400)
            until(lambda: Run.objects.filter(job_id=job.id).exclude(outcome="ok").exists(), "a call found no descriptor", meanwhile=sweep)
        run_out(job)
    assert_each_ended_once(job, 400)
    assert 400 <= simulator.calls()["total"] <= 400 + 2 * 40
