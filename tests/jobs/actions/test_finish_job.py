"""Finishing: every line of the input has one line in one of two files, and the job ends with them or not at all."""

from collections.abc import Iterable
from importlib import import_module
from typing import Any

import pytest

from apps.files.models import File
from apps.jobs import queries
from apps.jobs.actions import finish_job
from apps.jobs.domain.lifecycle import ItemState, JobStatus
from apps.jobs.models import Item, Job
from tests.jobs.batches import NOW, answer_all, clock, end_item, file_lines, input_line, jsonl, validated

# The package exports the verb under the module's own name.
module = import_module("apps.jobs.actions.finish_job")

pytestmark = pytest.mark.django_db


def batch(lines: int) -> tuple[Job, list[Item]]:
    job = validated(jsonl(input_line(f"{n}") for n in range(lines)))
    return job, list(Item.objects.filter(job=job).order_by("id"))


def finish(job: Job) -> Job:
    finish_job(job_id=job.id, clock=clock)
    job.refresh_from_db()
    return job


def custom_ids(lines: Iterable[dict[str, Any]]) -> list[str]:
    return [line["custom_id"] for line in lines]


def test_finish_job_writes_each_line_to_one_of_the_two_files() -> None:
    job, items = batch(5)
    end_item(items[0], answer=b'{"text": "hello"}')
    end_item(items[1], answer=b'{"error": {"message": "no"}}', state=ItemState.DEAD, status_code=400)
    end_item(items[2], state=ItemState.DEAD, status_code=None, error_code="poison", error_message="it kills workers")
    end_item(items[3], answer=b'{"text": "more"}')
    end_item(items[4], state=ItemState.CANCELLED, status_code=None, run_id=None)
    job = finish(job)
    assert (job.status, job.ended_at, job.finishing_at) == (JobStatus.COMPLETED, NOW, NOW)
    output, errors = file_lines(job.output_file_id), file_lines(job.error_file_id)
    assert (custom_ids(output), custom_ids(errors)) == (["0", "3"], ["1", "2", "4"])
    assert [line["id"] for line in output] == [f"batch_req_{items[0].id.hex}", f"batch_req_{items[3].id.hex}"]
    assert output[0]["response"]["body"] == {"text": "hello"}
    assert [(line["response"] or {}).get("status_code") for line in errors] == [400, None, None]
    assert [(line["error"] or {}).get("code") for line in errors] == [None, "poison", "batch_cancelled"]
    assert set(File.objects.filter(id__in=[job.output_file_id, job.error_file_id]).values_list("purpose", flat=True)) == {"batch_output"}


def test_finish_job_has_no_output_file_when_nothing_succeeded() -> None:
    job, items = batch(2)
    for item in items:
        end_item(item, state=ItemState.DEAD, status_code=500, error_message="down")
    job = finish(job)
    assert (job.status, job.output_file_id) == (JobStatus.COMPLETED, None)
    assert len(file_lines(job.error_file_id)) == 2


def test_finish_job_has_no_error_file_when_nothing_failed() -> None:
    job, _ = batch(2)
    answer_all(job)
    job = finish(job)
    assert (job.error_file_id, len(file_lines(job.output_file_id))) == (None, 2)


@pytest.mark.parametrize("state", [ItemState.WAITING, ItemState.RUNNING])
@pytest.mark.parametrize("status", [JobStatus.RUNNING, JobStatus.CANCELLING, JobStatus.FINISHING, JobStatus.PAUSED])
def test_finish_job_leaves_a_job_with_an_open_item_alone(state: ItemState, status: JobStatus) -> None:
    job, items = batch(2)
    end_item(items[0], answer=b"{}")
    Item.objects.filter(id=items[1].id).update(state=state)
    Job.objects.update(status=status)
    assert finish(job).status == status
    assert job.output_file_id is None


def test_finish_job_again_writes_no_second_file() -> None:
    job, _ = batch(1)
    answer_all(job)
    finish(job)
    before = File.objects.count()
    assert finish(job).status == JobStatus.COMPLETED
    assert File.objects.count() == before


def test_finish_job_that_fails_in_the_middle_leaves_no_rows_and_runs_again(monkeypatch: pytest.MonkeyPatch) -> None:
    job, items = batch(2)
    end_item(items[0], answer=b"{}")
    end_item(items[1], state=ItemState.DEAD, status_code=500)
    before = File.objects.count()
    write_file = module._write_file

    def break_at_second(job: Job, name: str, *arguments: Any) -> Any:
        if name == "error":
            raise OSError("disk full")
        return write_file(job, name, *arguments)

    monkeypatch.setattr(module, "_write_file", break_at_second)
    with pytest.raises(OSError, match="disk full"):
        finish(job)
    monkeypatch.setattr(module, "_write_file", write_file)
    job.refresh_from_db()
    assert (job.status, job.output_file_id, File.objects.count()) == (JobStatus.FINISHING, None, before)
    assert finish(job).status == JobStatus.COMPLETED
    assert File.objects.count() == before + 2


def test_finish_job_of_a_cancelled_job_keeps_its_status_until_the_end() -> None:
    job, items = batch(2)
    end_item(items[0], answer=b"{}")
    end_item(items[1], state=ItemState.CANCELLED)
    Job.objects.update(status=JobStatus.CANCELLING, cancelling_at=NOW)
    job = finish(job)
    assert (job.status, job.finishing_at, job.ended_at) == (JobStatus.CANCELLED, None, NOW)
    assert len(file_lines(job.output_file_id)) == len(file_lines(job.error_file_id)) == 1


def test_finish_job_cancelled_while_files_are_written_ends_as_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    job, _ = batch(1)
    answer_all(job)
    has_items = queries.has_items

    def cancel_then_look(*arguments: Any) -> bool:
        Job.objects.update(status=JobStatus.CANCELLING)
        return has_items(*arguments)

    monkeypatch.setattr(module, "has_items", cancel_then_look)
    job = finish(job)
    assert job.status == JobStatus.CANCELLED
    assert len(file_lines(job.output_file_id)) == 1


def test_finish_job_cancelled_before_its_lines_were_in_removes_them() -> None:
    job, _ = batch(2)
    Job.objects.update(status=JobStatus.CANCELLING, started_at=None, total=0)
    job = finish(job)
    assert (job.status, job.output_file_id, job.error_file_id, Item.objects.count()) == (JobStatus.CANCELLED, None, None, 0)


def test_finish_job_reads_pages_and_groups_to_their_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "_PAGE_ITEMS", 3)
    monkeypatch.setattr(queries, "_PAGE_BYTES", 20)
    job, _ = batch(8)
    answer_all(job)
    assert custom_ids(file_lines(finish(job).output_file_id)) == [str(n) for n in range(8)]
