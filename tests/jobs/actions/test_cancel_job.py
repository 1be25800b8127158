"""Cancel, close, expire, pause, resume: who may, what follows, and that a second time does no harm."""

from datetime import timedelta
from importlib import import_module
from uuid import uuid4

import pytest
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from apps.jobs.actions.cancel_job import cancel_job
from apps.jobs.actions.close_job import close_job
from apps.jobs.actions.expire_jobs import expire_jobs
from apps.jobs.actions.finish_job import finish_job
from apps.jobs.actions.pause_job import pause_job, resume_job
from apps.jobs.domain.lifecycle import ItemState, JobStatus
from apps.jobs.models import Item, Job
from apps.lib.http_errors import ApiError
from tests.jobs.batches import NOW, clock, end_item, file_lines, input_line, jsonl, submit, validated
from tests.jobs.rows import make_workspace

pytestmark = pytest.mark.django_db


def three() -> Job:
    return validated(jsonl(input_line(name) for name in "abc"))


def cancel(job: Job) -> Job:
    return cancel_job(workspace_id=job.workspace_id, public_id=job.public_id, now=NOW)


def test_cancel_job_stops_claims_and_rings_for_the_close(django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> None:
    job = three()
    with django_capture_on_commit_callbacks() as rings:
        job = cancel(job)
    assert (job.status, job.cancelling_at) == (JobStatus.CANCELLING, NOW)
    assert [getattr(ring, "args", ())[:2] for ring in rings] == [("jobs.close_job", "control")]


def test_a_cancelled_job_ends_with_what_was_done_and_the_rest_as_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("apps.jobs.actions.close_job"), "_AT_ONCE", 1)
    job = three()
    first, running, _ = Item.objects.order_by("id")
    end_item(first, answer=b"{}")
    Item.objects.filter(id=running.id).update(state=ItemState.RUNNING)
    cancel(job)
    assert close_job(job_id=job.id) == 1
    finish_job(job_id=job.id, clock=clock)
    job.refresh_from_db()
    assert job.status == JobStatus.CANCELLING
    end_item(running, answer=b"{}")
    finish_job(job_id=job.id, clock=clock)
    job.refresh_from_db()
    assert (job.status, job.dead) == (JobStatus.CANCELLED, 0)
    assert [line["custom_id"] for line in file_lines(job.output_file_id)] == ["a", "b"]
    assert [(line["custom_id"], line["error"]["code"]) for line in file_lines(job.error_file_id)] == [("c", "batch_cancelled")]


@pytest.mark.parametrize("status", [JobStatus.CANCELLING, JobStatus.CANCELLED])
def test_cancel_job_again_changes_nothing(status: JobStatus) -> None:
    job = three()
    Job.objects.update(status=status, cancelling_at=NOW - timedelta(hours=1))
    job = cancel(job)
    assert (job.status, job.cancelling_at) == (status, NOW - timedelta(hours=1))


@pytest.mark.parametrize("status", [JobStatus.VALIDATING, JobStatus.PAUSED, JobStatus.FINISHING])
def test_cancel_job_takes_any_job_that_has_not_ended(status: JobStatus) -> None:
    job = submit(b"")
    Job.objects.update(status=status)
    assert cancel(job).status == JobStatus.CANCELLING


@pytest.mark.parametrize("status", [JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.EXPIRED])
def test_changes_of_an_ended_job_are_refused_for_good(status: JobStatus) -> None:
    job = three()
    Job.objects.update(status=status)
    names = {"workspace_id": job.workspace_id, "public_id": job.public_id}
    for change in (lambda: cancel(job), lambda: pause_job(**names, now=NOW), lambda: resume_job(**names)):
        with pytest.raises(ApiError) as refused:
            change()
        assert refused.value.status == 409
        assert refused.value.headers == {"x-should-retry": "false"}


@pytest.mark.parametrize("public_id", ["nonsense", f"batch_{uuid4().hex}", "foreign"])
def test_changes_of_an_unknown_or_foreign_job_are_not_found(public_id: str) -> None:
    job = three()
    workspace = make_workspace("others")
    public_id = job.public_id if public_id == "foreign" else public_id
    names = {"workspace_id": workspace.id, "public_id": public_id}
    for change in (lambda: cancel_job(**names, now=NOW), lambda: pause_job(**names, now=NOW), lambda: resume_job(**names)):
        with pytest.raises(ApiError) as refused:
            change()
        assert refused.value.status == 404


def test_close_job_leaves_a_running_job_alone() -> None:
    job = three()
    assert close_job(job_id=job.id) == 0
    assert close_job(job_id=uuid4()) == 0
    assert Item.objects.filter(state=ItemState.WAITING).count() == 3


def test_expire_jobs_ends_what_is_past_its_time(django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> None:
    job = three()
    end_item(Item.objects.order_by("id")[0], answer=b"{}")
    Job.objects.update(expires_at=timezone.now() + timedelta(hours=1))
    assert expire_jobs() == 0
    Job.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    with django_capture_on_commit_callbacks() as rings:
        assert expire_jobs() == 1
    assert [getattr(ring, "args", ())[:2] for ring in rings] == [("jobs.close_job", "control")]
    assert close_job(job_id=job.id) == 2
    finish_job(job_id=job.id, clock=clock)
    job.refresh_from_db()
    assert job.status == JobStatus.EXPIRED
    assert [line["error"]["code"] for line in file_lines(job.error_file_id)] == ["batch_expired"] * 2


def test_expire_jobs_fails_what_was_never_validated() -> None:
    job = submit(jsonl([input_line("a")]))
    Job.objects.update(expires_at=timezone.now())
    expire_jobs()
    job.refresh_from_db()
    assert (job.status, job.errors[0]["code"]) == (JobStatus.FAILED, "batch_expired")


def test_expire_jobs_rings_again_for_a_close_that_was_not_heard() -> None:
    cancel(three())
    assert expire_jobs() == 1


def test_pause_and_resume_are_two_sides(django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> None:
    job = three()
    names = {"workspace_id": job.workspace_id, "public_id": job.public_id}
    for _ in range(2):
        job = pause_job(**names, now=NOW)
        assert (job.status, job.paused_at) == (JobStatus.PAUSED, NOW)
    with django_capture_on_commit_callbacks(execute=True) as rings:
        for _ in range(2):
            job = resume_job(**names)
            assert (job.status, job.paused_at) == (JobStatus.RUNNING, None)
    assert [getattr(ring, "args", [None])[0] for ring in rings].count("jobs.run_items") >= 1
