"""Each end of a batch is told once, in the transaction that makes it true."""

import json
from datetime import timedelta
from importlib import import_module

import pytest
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from apps.jobs.actions import cancel_job, close_job, finish_job, rerun_failed, validate_job
from apps.jobs.actions.expire_jobs import expire_jobs
from apps.jobs.domain.lifecycle import ItemState, JobStatus
from apps.jobs.models import Item, Job
from apps.webhooks.models import Delivery, Event
from tests.factories.webhooks import make_endpoint
from tests.jobs.batches import NOW, answer_all, clock, end_item, input_line, jsonl, submit, validated

pytestmark = pytest.mark.django_db


def two() -> Job:
    return validated(jsonl(input_line(name) for name in "ab"))


def told() -> list[tuple[str, str]]:
    """(type, batch) of every event, in order."""
    payloads = [json.loads(event.payload) for event in Event.objects.order_by("created_at", "id")]
    return [(payload["type"], payload["data"]["id"]) for payload in payloads]


def test_a_completed_batch_is_told_once_however_often_it_is_finished(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    make_endpoint()
    job = two()
    answer_all(job)
    with django_capture_on_commit_callbacks() as rings:
        for _ in range(3):
            finish_job(job_id=job.id, clock=clock)
    assert told() == [("batch.completed", job.public_id)]
    assert Event.objects.get().created_at == NOW
    assert Delivery.objects.count() == 1
    assert [getattr(ring, "args", ())[:2] for ring in rings] == [("webhooks.deliver", "control")]


def test_an_end_that_is_rolled_back_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    module = import_module("apps.jobs.actions.finish_job")
    make_endpoint()
    job = two()
    answer_all(job)

    def break_down(name: str) -> None:
        raise OSError(name)

    monkeypatch.setattr(module, "failpoint", break_down)
    with pytest.raises(OSError, match=r"finish\.before_commit"):
        finish_job(job_id=job.id, clock=clock)
    assert (told(), Delivery.objects.count()) == ([], 0)


def test_a_rerun_that_completes_is_told_again() -> None:
    job = two()
    for item in Item.objects.all():
        end_item(item, state=ItemState.DEAD, status_code=500)
    Job.objects.update(dead=2)
    finish_job(job_id=job.id, clock=clock)
    rerun_failed(workspace_id=job.workspace_id, public_id=job.public_id, now=NOW)
    answer_all(job)
    finish_job(job_id=job.id, clock=clock)
    assert told() == [("batch.completed", job.public_id)] * 2


def test_a_cancelled_batch_is_told_when_it_has_ended() -> None:
    job = two()
    cancel_job(workspace_id=job.workspace_id, public_id=job.public_id, now=NOW)
    assert told() == []
    close_job(job_id=job.id)
    finish_job(job_id=job.id, clock=clock)
    assert told() == [("batch.cancelled", job.public_id)]


def test_a_batch_that_runs_out_of_time_is_told() -> None:
    job = two()
    Job.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    expire_jobs()
    close_job(job_id=job.id)
    finish_job(job_id=job.id, clock=clock)
    assert told() == [("batch.expired", job.public_id)]


def test_a_batch_with_bad_lines_is_told() -> None:
    job = submit(b"no json\n")
    for _ in range(2):
        validate_job(job_id=job.id, clock=clock)
    assert told() == [("batch.failed", job.public_id)]


def test_a_batch_that_was_not_validated_in_time_is_told() -> None:
    job = submit(jsonl([input_line("a")]))
    Job.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    for _ in range(2):
        expire_jobs()
    job.refresh_from_db()
    assert (job.status, job.errors[0]["code"]) == (JobStatus.FAILED, "batch_expired")
    assert told() == [("batch.failed", job.public_id)]
