"""Jobs of documents: each step starts when those before it are done, what has an answer is never asked again, and the job ends with all."""

import pytest

from apps.jobs.actions import advance_job
from apps.jobs.domain.lifecycle import JobStatus
from apps.jobs.domain.recipe import Each, Plan, Step
from apps.jobs.models import Item, Job, JobDocument, StepItem
from apps.knowledge.models import Collection
from apps.lib.http_errors import ApiError
from tests.factories.knowledge import make_collection, make_read, upload
from tests.jobs.batches import clock, file_lines
from tests.jobs.documents import answer, questions, run_out, started, submit

pytestmark = pytest.mark.django_db

ONE = Plan((Step("answer", Each.DOCUMENT, "{{ document }}: {{ text }}", "small", system="Say what it is about."),))
TWO = Plan((
    Step("map", Each.PART, "part {{ part }} of {{ parts }}: {{ text }}", "tiny", part_tokens=6),
    Step("reduce", Each.DOCUMENT, "together: {{ map }}", "small", after=("map",)),
))  # fmt: skip


def states(job: Job) -> dict[str, str]:
    return dict(JobDocument.objects.filter(job=job).order_by("position").values_list("name", "state"))


def collection_of(**texts: str) -> Collection:
    collection = make_collection()
    make_read({f"{name}.txt": text for name, text in texts.items()}, collection=collection)
    return collection


def test_one_step_asks_once_for_each_document() -> None:
    job = started(ONE, collection_of(a="apples", b="bees"))
    assert (job.status, job.total, job.model_name) == (JobStatus.RUNNING, 2, "small")
    assert questions(job) == {"doc-1/answer": "a.txt: apples", "doc-2/answer": "b.txt: bees"}
    assert run_out(job) == 2
    assert (job.status, job.done, job.dead) == (JobStatus.COMPLETED, 2, 0)
    assert states(job) == {"a.txt": "answered", "b.txt": "answered"}
    first = JobDocument.objects.get(job=job, position=1)
    assert Item.objects.get(id=first.answer_item_id).custom_id == "doc-1/answer"
    assert [line["custom_id"] for line in file_lines(job.output_file_id)] == ["doc-1/answer", "doc-2/answer"]


def test_the_second_step_of_a_document_starts_without_the_others() -> None:
    job = started(TWO, collection_of(a="one two three four\n\nfive six seven eight", b="nine"))
    assert questions(job) == {
        "doc-1/map/1": "part 1 of 2: one two three four",
        "doc-1/map/2": "part 2 of 2: five six seven eight",
        "doc-2/map/1": "part 1 of 1: nine",
    }
    answer(job, str.upper, only=lambda name: name.startswith("doc-1"))
    advance_job(job_id=job.id, clock=clock)
    assert set(questions(job)) == {"doc-2/map/1", "doc-1/reduce"}
    assert questions(job)["doc-1/reduce"] == "together: PART 1 OF 2: ONE TWO THREE FOUR\n\nPART 2 OF 2: FIVE SIX SEVEN EIGHT"
    assert run_out(job) == 3
    job.refresh_from_db()
    assert (job.status, job.total, job.done) == (JobStatus.COMPLETED, 5, 5)
    assert set(states(job).values()) == {"answered"}


def test_advancing_again_asks_nothing_again() -> None:
    job = started(TWO, collection_of(a="one", b="two"))
    answer(job)
    for _ in range(3):
        advance_job(job_id=job.id, clock=clock)
    assert (Item.objects.filter(job=job).count(), StepItem.objects.filter(job_id=job.id).count()) == (4, 4)
    job.refresh_from_db()
    assert (job.total, job.advanced) == (4, 2)


def test_it_starts_once_each_document_was_read() -> None:
    collection = collection_of(a="apples")
    waiting = upload("bees", collection=collection, name="b.txt")
    job = started(ONE, collection)
    assert (job.status, job.total) == (JobStatus.VALIDATING, 0)
    waiting.version.status, waiting.version.refusal_code, waiting.version.refusal_message = "refused", "encrypted", "It has a password."
    waiting.version.save()
    advance_job(job_id=job.id, clock=clock)
    assert list(questions(job)) == ["doc-1/answer"]
    failed = JobDocument.objects.get(job=job, position=2)
    assert (failed.state, failed.step, failed.error_code, failed.error_message) == ("failed", "", "encrypted", "It has a password.")
    run_out(job)
    assert (job.status, states(job)) == (JobStatus.COMPLETED, {"a.txt": "answered", "b.txt": "failed"})


def test_without_documents_there_is_no_job() -> None:
    with pytest.raises(ApiError) as refused:
        submit(ONE, make_collection())
    assert (refused.value.status, refused.value.code) == (400, "no_documents")
    assert not Job.objects.exists()
