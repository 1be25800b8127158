"""Reuse: what an earlier job has answered is done before anything runs; what differs by a byte is asked."""

from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db.models import F
from pytest_django import DjangoCaptureOnCommitCallbacks

from apps.accounts.models import Workspace
from apps.jobs.actions import finish_job, reuse_answers, validate_job
from apps.jobs.domain.lifecycle import ItemState, JobStatus
from apps.jobs.models import Item, Job
from apps.lib.http_errors import ApiError
from apps.ops.actions.forget_old import forget_old
from apps.traces.models import Body
from tests.jobs.batches import CHAT, NOW, answer_all, clock, end_item, file_lines, input_line, jsonl, submit, validated
from tests.jobs.rows import make_workspace

pytestmark = pytest.mark.django_db


def lines(number: int, edited: tuple[int, ...] = ()) -> bytes:
    """Requests of a file; those edited ask something else under the same custom_id."""
    texts = {n: f"question {n}" + (", edited" if n in edited else "") for n in range(number)}
    return jsonl(
        input_line(f"line {n}", body={"model": "small", "messages": [{"role": "user", "content": text}]}) for n, text in texts.items()
    )


def answered(content: bytes, **values: Any) -> Job:
    """A batch that has run to its end; each item's answer names the item."""
    job = validated(content, **values)
    answer_all(job)
    finish_job(job_id=job.id, clock=clock)
    job.refresh_from_db()
    assert job.status == JobStatus.COMPLETED
    return job


def waiting(job: Job) -> list[str]:
    return list(Item.objects.filter(job=job, state=ItemState.WAITING).order_by("position").values_list("custom_id", flat=True))


def test_only_what_was_edited_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reuse_answers, "_AT_ONCE", 7)
    first = answered(lines(50))
    job = validated(lines(50, edited=(3, 30)), metadata={"reuse": first.public_id})
    assert (job.status, job.total, job.done, job.reused, job.cost_usd) == (JobStatus.RUNNING, 50, 48, 48, 0)
    assert waiting(job) == ["line 3", "line 30"]
    item = Item.objects.get(job=job, custom_id="line 4")
    old = Item.objects.get(job=first, custom_id="line 4")
    assert (item.answered_by, item.reused_item_id, item.ended_at, item.run_id) == ("reuse", old.id, NOW, None)
    assert (bytes(item.answer_body_id or b""), item.status_code) == (bytes(old.answer_body_id or b""), 200)
    answer_all(job)
    finish_job(job_id=job.id, clock=clock)
    job.refresh_from_db()
    written = file_lines(job.output_file_id)
    assert [line["response"]["body"]["echo"] for line in written] == [f"line {n}" for n in range(50)]
    assert written[4]["response"]["reused_from"] == f"batch_req_{old.id.hex}"
    assert "reused_from" not in written[3]["response"]


def test_a_job_of_which_all_is_answered_ends_at_once(django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> None:
    first = answered(lines(3))
    with django_capture_on_commit_callbacks() as rings:
        job = validated(lines(3), metadata={"reuse": first.public_id})
    assert [getattr(ring, "args", [None])[0] for ring in rings][-1] == "jobs.finish_job"
    finish_job(job_id=job.id, clock=clock)
    job.refresh_from_db()
    assert (job.status, job.done, job.reused) == (JobStatus.COMPLETED, 3, 3)
    assert len(file_lines(job.output_file_id)) == 3


def test_the_third_names_the_item_that_was_answered_first() -> None:
    first = answered(lines(2))
    second = answered(lines(2), metadata={"reuse": first.public_id})
    third = validated(lines(2), metadata={"reuse": second.public_id})
    origins = set(Item.objects.filter(job=third).values_list("reused_item_id", flat=True))
    assert origins == set(Item.objects.filter(job=first).values_list("id", flat=True))


def test_what_died_or_was_left_is_asked() -> None:
    first = validated(lines(3))
    dead, done, _ = Item.objects.filter(job=first).order_by("position")
    end_item(dead, state=ItemState.DEAD, status_code=500)
    end_item(done, answer=b"{}")
    job = validated(lines(3), metadata={"reuse": first.public_id})
    assert (job.reused, waiting(job)) == (1, ["line 0", "line 2"])


def test_an_answer_that_is_kept_no_longer_is_asked_anew_and_one_that_is_reused_is_kept() -> None:
    first = answered(lines(3))
    gone, kept, _ = Item.objects.filter(job=first).order_by("position")
    Body.objects.filter(id=gone.answer_body_id).delete()
    Body.objects.filter(id=kept.answer_body_id).update(created_at=F("created_at") - timedelta(days=29))
    job = validated(lines(3), metadata={"reuse": first.public_id})
    assert (job.reused, waiting(job)) == (2, ["line 0"])
    # By the age of its first use it would go in a day.
    forget_old(now=NOW + timedelta(days=3))
    assert Body.objects.filter(id=kept.answer_body_id).exists()


def test_the_same_line_twice_gets_the_same_answer() -> None:
    one = {"model": "small", "messages": [{"role": "user", "content": "the same"}]}
    twice = jsonl([input_line("a", body=one), input_line("b", body=one)])
    first = answered(twice)
    job = validated(twice, metadata={"reuse": first.public_id})
    origin = Item.objects.filter(job=first).earliest("id").id
    assert list(Item.objects.filter(job=job).values_list("reused_item_id", flat=True)) == [origin, origin]


def test_a_validation_that_was_cut_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    first = answered(lines(20))
    job = submit(lines(20, edited=(7,)), metadata={"reuse": first.public_id})
    monkeypatch.setattr(reuse_answers, "_AT_ONCE", 5)
    pages = iter(range(2))
    with monkeypatch.context() as broken:
        broken.setattr(reuse_answers, "use_bodies", lambda _: next(pages))
        with pytest.raises(StopIteration):
            validate_job(job_id=job.id, clock=clock)
    assert Item.objects.filter(job=job, answered_by="reuse").count() == 9
    validate_job(job_id=job.id, clock=clock)
    job.refresh_from_db()
    assert (job.total, job.done, job.reused, waiting(job)) == (20, 19, 19, ["line 7"])


def test_a_job_cancelled_meanwhile_keeps_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    first = answered(lines(3))
    job = submit(lines(3), metadata={"reuse": first.public_id})
    taken = psycopg.Cursor.execute

    def cancelling(cursor: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        if query == reuse_answers._TAKE:
            Job.objects.filter(id=job.id).update(status=JobStatus.CANCELLING)
        return taken(cursor, query, *arguments, **options)

    monkeypatch.setattr(psycopg.Cursor, "execute", cancelling)
    validate_job(job_id=job.id, clock=clock)
    job.refresh_from_db()
    assert (job.total, job.done, Item.objects.filter(job=job).count()) == (0, 0, 0)


def refusal(**metadata: str) -> str:
    with pytest.raises(ApiError) as refused:
        submit(lines(1), metadata=metadata)
    assert refused.value.param == "metadata.reuse"
    assert not Job.objects.filter(metadata=metadata).exists()
    return refused.value.message


def test_what_can_not_be_taken_over_is_refused() -> None:
    assert "No such batch: 'nonsense'" in refusal(reuse="nonsense")
    assert "No such batch" in refusal(reuse="batch_" + "0" * 32)
    first = answered(lines(1), metadata={"cache": "600"})
    assert "answers are kept for 600 s" in refusal(reuse=first.public_id)
    other = answered(jsonl([input_line("a", url="/v1/responses", body={"model": "small", "input": "a"})]), endpoint="/v1/responses")
    assert "another endpoint" in refusal(reuse=other.public_id)
    Job.objects.filter(id=first.id).update(workspace=Workspace.objects.create(name="others"), policy=None)
    assert "No such batch" in refusal(reuse=first.public_id)
    assert make_workspace().jobs.filter(endpoint=CHAT).count() == 0
