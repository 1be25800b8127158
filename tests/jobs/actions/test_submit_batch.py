"""A batch is taken in at once, or refused with the parameter named; its file is read later."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from pytest_django import DjangoCaptureOnCommitCallbacks

from apps.files.models import File
from apps.jobs.actions.submit_batch import submit_batch
from apps.jobs.models import Job
from apps.lib.http_errors import ApiError
from tests.jobs.batches import CHAT, NOW, make_input_file
from tests.jobs.rows import make_workspace

pytestmark = pytest.mark.django_db


def submit(file: File | str, **values: Any) -> Job:
    input_file_id = file if isinstance(file, str) else file.public_id
    request = {"input_file_id": input_file_id, "endpoint": CHAT, "completion_window": "24h"} | values
    return submit_batch(workspace_id=make_workspace().id, api_key_id=None, values=request, now=NOW)


def test_submit_batch_makes_a_job_and_rings_for_its_validation(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    file = make_input_file(b"anything")
    with django_capture_on_commit_callbacks() as rings:
        job = submit(file, metadata={"priority": "bulk", "max_cost_usd": "1.5"})
    job.refresh_from_db()
    assert (job.kind, job.status, job.lane, job.input_file_id, job.total) == ("batch", "validating", "bulk", file.id, 0)
    assert job.expires_at == job.created_at + timedelta(hours=24) == NOW + timedelta(hours=24)
    assert [getattr(ring, "args", ())[:2] for ring in rings] == [("jobs.validate_job", "ingest")]


@pytest.mark.parametrize("input_file_id", ["nonsense", f"file-{uuid.uuid4().hex}", "file-" + "x" * 500])
def test_submit_batch_refuses_an_unknown_file(input_file_id: str) -> None:
    with pytest.raises(ApiError) as refused:
        submit(input_file_id)
    assert (refused.value.status, refused.value.param) == (400, "input_file_id")
    assert not Job.objects.exists()


def test_submit_batch_tells_a_foreign_file_no_differently_from_an_unknown_one() -> None:
    file = make_input_file(b"anything", workspace=make_workspace("others"))
    with pytest.raises(ApiError) as refused:
        submit(file)
    assert (refused.value.status, refused.value.code) == (400, "file_not_found")


def test_submit_batch_refuses_a_file_of_another_purpose() -> None:
    with pytest.raises(ApiError) as refused:
        submit(make_input_file(b"anything", purpose="user_data"))
    assert (refused.value.status, refused.value.code, refused.value.param) == (400, "invalid_purpose", "input_file_id")


def test_submit_batch_names_the_wrong_parameter() -> None:
    with pytest.raises(ApiError) as refused:
        submit(make_input_file(b"anything"), metadata={"priority": "urgent"})
    assert (refused.value.status, refused.value.param) == (400, "metadata.priority")
