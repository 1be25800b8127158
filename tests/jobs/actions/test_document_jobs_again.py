"""What was asked before is not asked again: after a failure, of documents that stayed as they were, of steps that did."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest

from apps.jobs.actions import advance_job, discard_dead, finish_job, requeue_dead, rerun_failed
from apps.jobs.actions.submit_documents import Terms
from apps.jobs.domain.dead_items import Change, Selection
from apps.jobs.domain.lifecycle import ItemState, JobStatus
from apps.jobs.domain.recipe import Each, Plan, Step
from apps.jobs.domain.recipe_reading import read_recipe
from apps.jobs.models import Item, Job, JobDocument, StepItem
from apps.knowledge.models import Collection
from apps.lib.ids import first_uuid7
from apps.ops.actions.forget_old import forget_old
from apps.providers.domain.policy import USUAL_TIMES
from apps.traces.models import Body
from tests.factories.accounts import make_workspace
from tests.factories.knowledge import make_collection, make_document, make_read
from tests.jobs.batches import NOW, clock, make_model
from tests.jobs.documents import answer, bury, questions, run_out, started

pytestmark = pytest.mark.django_db

PLAN = Plan((
    Step("map", Each.PART, "{{ text }}", "tiny", part_tokens=12),
    Step("reduce", Each.DOCUMENT, "{{ map }}", "tiny", after=("map",), group=4),
    Step("label", Each.DOCUMENT, "Label {{ reduce }}", "small", after=("reduce",)),
))  # fmt: skip
DOCUMENTS, EDITED = 50, 3


def texts(edited: int = 0) -> dict[str, str]:
    """Two parts each; an edit changes the first one."""
    words = {n: "edited" if n <= edited else "plain" for n in range(1, DOCUMENTS + 1)}
    return {f"{n:02}.txt": f"Document {n} {word}.\n\nThe end of {n} is like that of none." for n, word in words.items()}


def read(texts_: Mapping[str, str], collection: Collection | None = None) -> Collection:
    kept = collection or make_collection()
    make_read(texts_, collection=kept)
    return kept


def finished(plan: Plan, collection: Collection, **values: Any) -> tuple[Job, int]:
    """A job that has ended, and how many calls it took."""
    job = started(plan, collection, **values)
    return job, run_out(job)


def count(job: Job) -> tuple[int, int, int]:
    job.refresh_from_db()
    return job.total, job.done, job.reused


def failed(job: Job) -> list[tuple[Any, ...]]:
    rows = JobDocument.objects.filter(job=job, state="failed").order_by("position")
    return list(rows.values_list("name", "step", "error_code"))


def test_of_fifty_documents_three_are_edited_and_three_are_asked() -> None:
    collection = read(texts())
    job, calls = finished(PLAN, collection)
    assert (calls, count(job)) == (4 * DOCUMENTS, (4 * DOCUMENTS, 4 * DOCUMENTS, 0))
    read({name: text for name, text in texts(EDITED).items() if text != texts()[name]}, collection)
    again = started(PLAN, collection)
    # Of each edited document one part is another, and what comes after it.
    assert set(questions(again)) == {f"doc-{n}/map/1" for n in range(1, EDITED + 1)}
    calls = run_out(again)
    assert calls == 3 * EDITED
    assert count(again) == (4 * DOCUMENTS, 4 * DOCUMENTS, 4 * DOCUMENTS - calls)
    assert JobDocument.objects.filter(job=again, state="answered").count() == DOCUMENTS
    reused = Item.objects.filter(job=again, answered_by="reuse")
    assert set(reused.values_list("cost_usd", "run_id")) == {(0, None)}
    assert set(reused.values_list("reused_item_id", flat=True)) <= set(Item.objects.filter(job=job).values_list("id", flat=True))


def test_a_changed_step_is_asked_and_what_comes_after_it() -> None:
    collection = read(dict(list(texts().items())[:4]))
    finished(PLAN, collection)
    first, second, third = PLAN.steps
    changed = Plan((first, replace(second, user="Shortly: {{ map }}"), third))
    job = started(changed, collection)
    assert {name.partition("/")[2] for name in questions(job)} == {"reduce"}
    assert run_out(job) == 4 + 4
    assert job.reused == 8


def test_of_a_summary_only_the_parts_that_are_new_are_asked_wherever_they_stand() -> None:
    declared = {"model": "small", "part_tokens": 100}
    plan = read_recipe("summarise", declared, find_prompt=lambda name, _: pytest.fail(name), times=USUAL_TIMES).plan
    # No two of them fit into one part.
    pages = [f"Page {n} tells of rule {n}. " + "It is paid back in time. " * 12 for n in range(12)]
    collection = make_collection()
    for document, asked in (
        (pages, {f"doc-1/map/{n}" for n in range(1, 13)}),
        ([*pages, pages[0].replace("Page", "Appendix")], {"doc-1/map/13"}),
        ([pages[0].replace("Page", "Preface"), *pages], {"doc-1/map/1"}),
    ):
        make_document("\n\n".join(document), collection=collection)
        job = started(plan, collection)
        assert set(questions(job)) == asked
        run_out(job)


def test_nothing_is_asked_where_nothing_changed_and_all_of_it_when_that_is_wanted() -> None:
    collection = read(dict(list(texts().items())[:4]))
    finished(PLAN, collection)
    again, calls = finished(PLAN, collection)
    assert (calls, again.status, again.reused) == (0, JobStatus.COMPLETED, 16)
    anew, calls = finished(PLAN, collection, terms=Terms(reuse=False))
    assert (calls, anew.reused) == (16, 0)


def test_an_answer_is_found_behind_many_of_others_to_the_same_input() -> None:
    one = Plan((Step("say", Each.DOCUMENT, "{{ text }}", "tiny"),))
    mine, theirs = read({"a.txt": "the same"}), make_collection(make_workspace("others"))
    same = {f"{n}.txt": "the same" for n in range(25)}
    finished(one, mine)
    assert finished(one, read(same, theirs))[1] == 25
    waiting = started(one, read(same, make_collection(mine.workspace, name="waiting")), terms=Terms(reuse=False))
    assert len(questions(waiting)) == 25
    again, calls = finished(one, mine)
    assert (calls, again.reused) == (0, 1)
    assert finished(one, read(same, make_collection(mine.workspace, name="many")))[0].reused == 25


def test_an_answer_of_a_machine_whose_clock_is_ahead_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    collection = read({"a.txt": "the same"})
    with monkeypatch.context() as ahead:
        ahead.setattr(import_module("apps.jobs.actions.write_items"), "ids_in_order", lambda _: [first_uuid7(NOW + timedelta(days=1000))])
        finished(Plan((Step("say", Each.DOCUMENT, "{{ text }}", "tiny"),)), collection)
    assert finished(Plan((Step("say", Each.DOCUMENT, "{{ text }}", "tiny"),)), collection)[1] == 0


def test_what_another_model_answered_is_asked_anew() -> None:
    make_model("big")
    collection = read(dict(list(texts().items())[:1]))
    job = started(PLAN, collection)
    item = bury(job, "doc-1/map/2")
    run_out(job)
    requeue_dead(Selection(item_ids=(item.id,)), Change(model="big"), workspace_ids=None, is_dry_run=False, now=NOW)
    assert run_out(job) == 3
    again = started(PLAN, collection)
    assert set(questions(again)) == {"doc-1/map/2"}


def test_an_answer_that_is_kept_no_longer_is_asked_for() -> None:
    collection = read(dict(list(texts().items())[:2]))
    job, _ = finished(PLAN, collection)
    Body.objects.filter(id=Item.objects.get(job=job, custom_id="doc-1/map/1").answer_body_id).delete()
    again = started(PLAN, collection)
    assert set(questions(again)) == {"doc-1/map/1"}


def test_what_failed_is_run_again_and_only_what_comes_after_it() -> None:
    job = started(PLAN, read(dict(list(texts().items())[:2])))
    answer(job, only=lambda name: name.startswith("doc-1"))
    advance_job(job_id=job.id, clock=clock)
    bury(job, "doc-1/reduce")
    run_out(job)
    assert (job.status, failed(job)) == (JobStatus.COMPLETED, [("01.txt", "reduce", "server_error")])
    before = set(Item.objects.filter(job=job, state=ItemState.DONE).values_list("id", flat=True))
    rerun_failed(workspace_id=job.workspace_id, public_id=job.public_id, now=NOW)
    assert failed(job) == []
    assert set(questions(job)) == {"doc-1/reduce"}
    assert run_out(job) == 2
    job.refresh_from_db()
    assert (job.status, job.revision, job.dead, failed(job)) == (JobStatus.COMPLETED, 2, 0, [])
    assert set(Item.objects.filter(job=job).exclude(id__in=before).values_list("custom_id", flat=True)) == {"doc-1/reduce", "doc-1/label"}


def test_the_desk_of_dead_items_leads_on_as_well() -> None:
    job = started(PLAN, read(dict(list(texts().items())[:1])))
    item = bury(job, "doc-1/map/2")
    run_out(job)
    assert failed(job) == [("01.txt", "map", "server_error")]
    requeue_dead(Selection(item_ids=(item.id,)), Change(), workspace_ids=None, is_dry_run=False, now=NOW)
    assert run_out(job) == 3
    assert (job.status, failed(job)) == (JobStatus.COMPLETED, [])


TOGETHER = Plan((*PLAN.steps, Step("sum", Each.JOB, "{{ label }}", "small", after=("label",))))


def test_a_step_for_all_waits_for_what_died_to_be_run_again() -> None:
    job = started(TOGETHER, read(dict(list(texts().items())[:3])))
    bury(job, "doc-2/map/1")
    run_out(job)
    assert failed(job) == [("01.txt", "sum", "documents_failed"), ("02.txt", "map", "server_error"), ("03.txt", "sum", "documents_failed")]
    rerun_failed(workspace_id=job.workspace_id, public_id=job.public_id, now=NOW)
    assert run_out(job) == 4
    assert (job.status, failed(job)) == (JobStatus.COMPLETED, [])


def test_a_step_for_all_goes_on_without_what_is_discarded() -> None:
    job = started(TOGETHER, read(dict(list(texts().items())[:3])))
    item = bury(job, "doc-2/map/1")
    run_out(job)
    discard_dead(Selection(item_ids=(item.id,)), workspace_ids=None, now=NOW, reason="The scan is empty.")
    advance_job(job_id=job.id, clock=clock)
    assert set(questions(job)) == {"job/sum"}
    assert "02.txt" not in questions(job)["job/sum"]
    assert run_out(job) == 1
    assert (job.status, job.revision, failed(job)) == (JobStatus.COMPLETED, 2, [("02.txt", "map", "server_error")])


def test_what_died_in_a_step_for_all_fails_every_document_until_it_is_run_again() -> None:
    job = started(TOGETHER, read(dict(list(texts().items())[:2])))
    while not (asked := questions(job)).get("job/sum"):
        answer(job)
        advance_job(job_id=job.id, clock=clock)
        assert asked
    bury(job, "job/sum")
    finish_job(job_id=job.id, clock=clock)
    assert failed(job) == [("01.txt", "sum", "server_error"), ("02.txt", "sum", "server_error")]
    rerun_failed(workspace_id=job.workspace_id, public_id=job.public_id, now=NOW)
    assert run_out(job) == 1
    assert failed(job) == []


def test_places_are_forgotten_with_their_items_unless_something_may_go_on_from_them() -> None:
    collection = read(dict(list(texts().items())[:1]))
    whole, _ = finished(PLAN, collection)
    broken = started(PLAN, collection, terms=Terms(reuse=False))
    bury(broken, "doc-1/map/2")
    run_out(broken)
    forget_old(now=NOW + timedelta(days=400))
    assert set(Item.objects.values_list("job_id", flat=True)) == set(StepItem.objects.values_list("job_id", flat=True)) == {broken.id}
    assert not Item.objects.filter(job=whole).exists()
