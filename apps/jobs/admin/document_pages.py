"""A job of documents in the back office: how far it is, and each answer beside the text that it rests on."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.views.decorators.http import require_safe

from apps.jobs.actions import correct_answer
from apps.jobs.domain.citations import Said, cut_by
from apps.jobs.domain.document_answer import DocumentAnswer, answer_value
from apps.jobs.domain.marked_text import Mark, find_values, mark_text
from apps.jobs.domain.recipe import Plan, load_plan
from apps.jobs.forms.corrections import CorrectionForm
from apps.jobs.models import Job, JobDocument
from apps.jobs.queries.document_answers import documents_of, list_corrections, read_answers, read_job_answer
from apps.jobs.queries.document_progress import count_documents, count_steps, list_step_items
from apps.knowledge.queries import read_plain_text
from apps.lib.http_errors import ApiError

_PER_PAGE = 50
_STATES = ("open", "answered", "failed")
# htmx stops asking when it gets this status.
_STOP_POLLING = 286
# Counting reads every item, so that big jobs are looked at less often.
_BIG = 20_000


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of an answer; `place` is where it stands in the text, when it does."""

    name: str
    value: str
    place: str


class DocumentPages:
    """For the admin of jobs: `<id>/documents/`, and `<id>/answer/?document=3`."""

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view  # type: ignore[attr-defined]  # a mixin
        return [
            path("<uuid:job_id>/documents/", view(require_safe(self.show_documents)), name="jobs_job_documents"),
            path("<uuid:job_id>/answer/", view(self.answer), name="jobs_job_answer"),
            *super().get_urls(),  # type: ignore[misc]  # a mixin
        ]

    def show_documents(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        """The part of a job's page that tells of its documents and renews itself until the job has ended; a page of a batch without any."""
        job = self._documents_job(request, job_id)
        context = documents_context(job, request) if job.recipe else {"job": job}
        return TemplateResponse(request, "jobs/documents.html", context, status=_STOP_POLLING if job.ended_at else 200)

    def answer(self, request: HttpRequest, job_id: UUID) -> HttpResponse:
        """One document's answer beside its text; without a document the one answer to all, beside its passages. POST corrects it."""
        job = self._documents_job(request, job_id)
        if job.recipe is None:
            return HttpResponseRedirect(reverse("admin:jobs_job_change", args=[job.pk]))
        plan = load_plan(job.recipe.plan)
        is_once = plan.answers_once and "document" not in request.GET
        document = None if is_once else _document(job, request.GET.get("document", "1"))
        row = read_job_answer(job, plan) if document is None else _row(job, plan, document)
        if row is None:
            raise Http404
        may_change = self.may_change(request, job)  # type: ignore[attr-defined]  # a mixin
        form = CorrectionForm(request.POST or None, initial={"answer": _editable(row.answer)})
        if request.method == "POST":
            if not may_change:
                messages.error(request, "Your role in this workspace only lets you look.")
                return HttpResponseRedirect(request.get_full_path())
            if form.is_valid() and _corrected(request, job, row, form):
                return HttpResponseRedirect(request.get_full_path())
        context = _answer_context(job, plan, row) | (_beside_text(job, plan, document, row) if document else {})
        title = document.name if document else job.name
        page = self.admin_site.each_context(request) | context | {"title": title, "form": form, "may_change": may_change}  # type: ignore[attr-defined]  # a mixin
        return TemplateResponse(request, "jobs/answer.html", page)

    def _documents_job(self, request: HttpRequest, job_id: UUID) -> Job:
        job: Job = get_object_or_404(self.get_queryset(request).select_related("recipe", "workspace"), pk=job_id)  # type: ignore[attr-defined]  # a mixin
        return job


def documents_context(job: Job, request: HttpRequest) -> dict[str, Any]:
    """For the part of a job's page that tells of its documents: `?state=failed&page=2`."""
    plan = load_plan(job.recipe.plan) if job.recipe else Plan(())
    state = request.GET.get("state", "")
    documents = documents_of(job).filter(state=state) if state in _STATES else documents_of(job)
    page = Paginator(documents, _PER_PAGE).get_page(request.GET.get("page"))
    counts = count_documents(job.pk)
    steps = [step.name for step in plan.steps]
    once = read_job_answer(job, plan) if plan.answers_once else None
    return {
        "job": job,
        "recipe": job.recipe,
        "once": once,
        "said": _said(once) if once else (),
        "steps": count_steps(job.pk, plan),
        "counts": list(counts.items()),
        "state": state,
        "page": page,
        "rows": read_answers(job, list(page.object_list), steps=steps),
        "is_open": job.ended_at is None,
        "seconds": 30 if job.total > _BIG else 3,
    }


def _document(job: Job, text: str) -> JobDocument:
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= 9 else 0
    document = documents_of(job).filter(position=number).first()
    if document is None:
        raise Http404
    return document


def _row(job: Job, plan: Plan, document: JobDocument) -> DocumentAnswer:
    (row,) = read_answers(job, [document], steps=[step.name for step in plan.steps])
    return row


def _corrected(request: HttpRequest, job: Job, row: DocumentAnswer, form: CorrectionForm) -> bool:
    values = form.cleaned_data
    try:
        correct_answer(
            job=job,
            position=row.position,
            answer=values["answer"],
            note=values["note"],
            created_by_id=UUID(str(request.user.pk)),
        )
    except ApiError as refused:
        form.add_error("answer", refused.message)
        return False
    messages.success(request, "The answer is corrected; what the model said is kept.")
    return True


def _answer_context(job: Job, plan: Plan, row: DocumentAnswer) -> dict[str, Any]:
    """The answer with all of its passages."""
    value = answer_value(row.answer)
    return {
        "job": job,
        "recipe": job.recipe,
        "answers_once": plan.answers_once,
        "row": row,
        "fields": _fields(value, []) if isinstance(value, dict) else None,
        "said": _said(row),
        "cited": {one.number for one in row.cited},
        "elsewhere": row.passages,
        "corrections": list(list_corrections(row.item_id)[:20]) if row.item_id else [],
    }


def _beside_text(job: Job, plan: Plan, document: JobDocument, row: DocumentAnswer) -> dict[str, Any]:
    """What of the answer stands in the document's text, and where."""
    text = read_plain_text(document.version_id)
    value = answer_value(row.answer)
    values = find_values(text, value) if isinstance(value, dict) else []
    own = [one for one in row.passages if one.version_id == document.version_id]
    cited = {one.number for one in row.cited}
    passages = [Mark("cited" if one.number in cited else "found", str(one.number), one.start, one.end) for one in own]
    return {
        "document": document,
        "fields": _fields(value, values) if isinstance(value, dict) else None,
        "elsewhere": [one for one in row.passages if one.version_id != document.version_id],
        "pieces": mark_text(text, [*passages, *values]),
        "step_items": list_step_items(job.pk, plan, document.pk),
        "before": _neighbour(job, document.position, is_before=True),
        "after": _neighbour(job, document.position, is_before=False),
    }


def _said(row: DocumentAnswer) -> list[Said]:
    return cut_by(row.answer or "", row.passages)


def _fields(value: dict[str, Any], marks: list[Mark]) -> list[_Field]:
    """Each with the first place of it, or of what is in it."""
    places = [mark.key for mark in marks]
    return [
        _Field(
            name,
            inner if isinstance(inner, str) else orjson.dumps(inner).decode(),
            next((key for key in places if key == name or key.startswith(f"{name}.")), ""),
        )
        for name, inner in value.items()
    ]


def _editable(answer: str | None) -> str:
    """JSON as people can read it."""
    value = answer_value(answer)
    return (answer or "") if isinstance(value, str) or value is None else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def _neighbour(job: Job, position: int, *, is_before: bool) -> int | None:
    rows = documents_of(job)
    near = rows.filter(position__lt=position).order_by("-position") if is_before else rows.filter(position__gt=position)
    return near.values_list("position", flat=True).first()
