"""What has failed runs again: the items wait anew, a completed job becomes its next revision, and its files are replaced together."""

from datetime import timedelta

import pytest
from pytest_django import DjangoCaptureOnCommitCallbacks

from apps.jobs.actions import change_lane, finish_job, rerun_failed
from apps.jobs.actions.claim import claim_items, claim_suspects
from apps.jobs.actions.expire_jobs import expire_jobs
from apps.jobs.domain.lifecycle import ItemState, JobStatus
from apps.jobs.models import Item, Job
from apps.jobs.serializers import BatchSerializer
from apps.lib.http_errors import ApiError
from apps.lib.ids import uuid7
from tests.jobs.batches import NOW, clock, end_item, file_lines, input_line, jsonl, validated
from tests.jobs.rows import make_job, make_workspace

pytestmark = pytest.mark.django_db


def finish(job: Job) -> Job:
    finish_job(job_id=job.id, clock=clock)
    job.refresh_from_db()
    return job


def rerun(job: Job) -> tuple[Job, int]:
    return rerun_failed(workspace_id=job.workspace_id, public_id=job.public_id, now=NOW + timedelta(days=3))


def with_one_dead() -> Job:
    """A job of three lines, of which the second died, completed."""
    job = validated(jsonl(input_line(name) for name in "abc"))
    first, second, third = Item.objects.filter(job=job).order_by("id")
    end_item(first, answer=b"{}")
    end_item(second, state=ItemState.DEAD, status_code=500, error_code="down", error_message="It was down.", attempts=5)
    end_item(third, answer=b"{}")
    Job.objects.filter(id=job.id).update(done=2, dead=1)
    return finish(job)


def test_a_completed_job_runs_what_had_failed_as_its_next_revision(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    job = with_one_dead()
    before = job.error_file_id
    with django_capture_on_commit_callbacks() as rings:
        job, items = rerun(job)
    assert rings
    assert (items, job.revision, job.status, job.dead, job.done, job.error_file_id) == (1, 2, JobStatus.RUNNING, 0, 2, before)
    claimed = claim_items(pump_id=uuid7(), lanes=("default",), room=9, batch_room=9, turn=0)
    assert [(item.tries.attempts, item.tries.free) for item in claimed] == [(0, 0)]
    assert expire_jobs() == 0
    job.refresh_from_db()
    assert job.status == JobStatus.RUNNING


def test_finishing_a_rerun_replaces_both_files_and_in_the_openai_api_the_batch_stays_completed() -> None:
    job = with_one_dead()
    first = BatchSerializer(job).data
    rerun(job)
    job.refresh_from_db()
    meanwhile = BatchSerializer(job).data
    unchanged = ("status", "completed_at", "finalizing_at", "output_file_id", "error_file_id")
    assert [meanwhile[name] for name in unchanged] == [first[name] for name in unchanged]
    end_item(Item.objects.get(job=job, state=ItemState.WAITING), answer=b"{}")
    job = finish(job)
    last = BatchSerializer(job).data
    assert (job.status, job.error_file_id) == (JobStatus.COMPLETED, None)
    assert (last["status"], last["completed_at"]) == ("completed", first["completed_at"])
    assert last["output_file_id"] != first["output_file_id"]
    assert [line["custom_id"] for line in file_lines(job.output_file_id)] == ["a", "b", "c"]


def test_what_was_forgotten_since_stays_in_the_output_file() -> None:
    """Of `a` the item is gone, of `c` the answer: the next revision has their lines from the file before, and each line once."""
    job = with_one_dead()
    before = file_lines(job.output_file_id)
    Item.objects.filter(job=job, custom_id="a").delete()
    Item.objects.filter(job=job, custom_id="c").update(answer_body_id=b"gone" * 8)
    rerun(job)
    end_item(Item.objects.get(job=job, state=ItemState.WAITING), answer=b'{"n":1}')
    job = finish(job)
    after = file_lines(job.output_file_id)
    assert [line["custom_id"] for line in after] == ["a", "c", "b"]
    assert (after[:2], after[2]["response"]["body"]) == (before, {"n": 1})


def test_a_running_job_takes_its_dead_items_back_in_the_same_revision() -> None:
    job = make_job(prompts=["a", "b"])
    Item.objects.filter(job=job, position=1).update(state=ItemState.DEAD, losses=3)
    Job.objects.filter(id=job.id).update(dead=1)
    job, items = rerun(job)
    assert (items, job.dead, job.revision, job.status) == (1, 0, 1, JobStatus.RUNNING)
    assert set(Item.objects.filter(job=job).values_list("state", "losses")) == {(ItemState.WAITING, 0)}


def test_nothing_to_rerun_is_said_and_changes_nothing() -> None:
    job = make_job()
    with pytest.raises(ApiError, match="Nothing in this batch has failed") as refused:
        rerun(job)
    assert refused.value.status == 409


@pytest.mark.parametrize("status", [JobStatus.VALIDATING, JobStatus.FAILED, JobStatus.FINISHING, JobStatus.CANCELLING, JobStatus.EXPIRED])
def test_a_job_that_cannot_run_is_not_rerun(status: JobStatus) -> None:
    job = make_job(status=status)
    Item.objects.filter(job=job).update(state=ItemState.DEAD)
    with pytest.raises(ApiError) as refused:
        rerun(job)
    assert refused.value.status == 409
    assert Item.objects.get(job=job).state == ItemState.DEAD


def test_another_workspace_can_neither_rerun_nor_move_a_job() -> None:
    job, stranger = make_job(), make_workspace("stranger")
    for change in (
        lambda: rerun_failed(workspace_id=stranger.id, public_id=job.public_id, now=NOW),
        lambda: change_lane(workspace_id=stranger.id, public_id=job.public_id, lane="bulk"),
    ):
        with pytest.raises(ApiError) as refused:
            change()
        assert refused.value.status == 404


def test_a_job_in_another_lane_is_claimed_there_and_its_items_say_so() -> None:
    job = make_job()
    change_lane(workspace_id=job.workspace_id, public_id=job.public_id, lane="bulk")
    assert claim_items(pump_id=uuid7(), lanes=("default",), room=9, batch_room=9, turn=0) == []
    assert [item.lane for item in claim_items(pump_id=uuid7(), lanes=("bulk",), room=9, batch_room=9, turn=0)] == ["bulk"]
    assert Item.objects.get(job=job).lane == "bulk"


def test_a_suspect_of_a_moved_job_is_claimed_in_its_new_lane() -> None:
    job = make_job()
    Item.objects.filter(job=job).update(losses=2)
    change_lane(workspace_id=job.workspace_id, public_id=job.public_id, lane="bulk")
    assert [item.lane for item in claim_suspects(pump_id=uuid7(), lanes=("bulk",))] == ["bulk"]


def test_change_lane_refuses_other_words_and_ended_jobs() -> None:
    job = make_job()
    with pytest.raises(ApiError, match="no lane 'urgent'"):
        change_lane(workspace_id=job.workspace_id, public_id=job.public_id, lane="urgent")
    Job.objects.filter(id=job.id).update(status=JobStatus.COMPLETED)
    with pytest.raises(ApiError, match="completed"):
        change_lane(workspace_id=job.workspace_id, public_id=job.public_id, lane="bulk")
