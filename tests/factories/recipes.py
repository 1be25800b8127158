"""Recipes and jobs of documents."""

from typing import Any

from django.utils import timezone

from apps.accounts.models import Workspace
from apps.jobs.domain.lifecycle import JobStatus
from apps.jobs.domain.recipe import Each, Plan, Step
from apps.jobs.models import Correction, Item, Job, JobDocument, Recipe, StepItem
from apps.lib.ids import uuid7
from tests.factories.jobs import make_job

SUMMARY = Plan((
    Step("map", Each.PART, "Summarise this part of {{ document }}:\n{{ text }}", "tiny", part_tokens=200),
    Step("reduce", Each.DOCUMENT, "One summary of these:\n{{ map }}", "tiny", after=("map",)),
))  # fmt: skip


def make_recipe(workspace: Workspace, *, name: str = "summary", plan: Plan = SUMMARY, **values: Any) -> Recipe:
    number = Recipe.objects.filter(workspace=workspace, name=name).count() + 1
    return Recipe.objects.create(
        workspace=workspace, name=name, number=number, **{"kind": "steps", "declared": "{}", "plan": plan.as_text()} | values
    )


def make_document_job(workspace: Workspace, **values: Any) -> Job:
    """One that is over: a document, answered and corrected."""
    job = make_job(workspace=workspace, **{"status": JobStatus.COMPLETED, "running": 0, "waiting": 0, "ended_at": timezone.now()} | values)
    document = make_answered_document(job)
    Correction.objects.create(job=job, item_id=document.answer_item_id, answer="Better.", note="It was wrong.")
    return Job.objects.get(id=job.id)


def make_answered_document(job: Job) -> JobDocument:
    """Of a batch a job of documents, with one that its first item is the answer for."""
    Job.objects.filter(id=job.id).update(kind="documents", recipe=make_recipe(job.workspace), input_file=None)
    item = Item.objects.filter(job=job).order_by("id")[0]
    document = JobDocument.objects.create(
        job=job,
        position=1,
        document_id=uuid7(),
        version_id=uuid7(),
        version_number=1,
        name="a.txt",
        state="answered",
        answer_item_id=item.id,
    )
    StepItem.objects.create(item_id=item.id, job_id=job.id, job_document_id=document.id, step="reduce", input_hash=bytes(32))
    return document
