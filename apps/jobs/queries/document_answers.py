"""What a job of documents came to, document by document, in pages."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet

from apps.jobs.domain.document_answer import Corrected, DocumentAnswer
from apps.jobs.domain.export_table import answer_text
from apps.jobs.domain.recipe import Each, Plan
from apps.jobs.models import Correction, Item, Job, JobDocument, StepItem
from apps.knowledge.queries import read_cited
from apps.lib.sql import begin_short, server_cursor
from apps.traces.queries import read_bodies, read_body_sizes

_AT_ONCE = 100
_PAGE_BYTES = 8 << 20
# Through the index of places; what is of the whole job is no document's.
_COSTS = """
SELECT place.job_document_id, sum(item.cost_usd) FROM jobs_stepitem AS place JOIN jobs_item AS item ON item.id = place.item_id
WHERE place.job_id = %b AND place.step = ANY(%b::text[]) AND place.job_document_id = ANY(%b::uuid[]) GROUP BY place.job_document_id
"""
_NOTHING = Decimal(0)


def documents_of(job: Job) -> QuerySet[JobDocument]:
    """In their order."""
    return JobDocument.objects.filter(job=job).order_by("position")


def list_answers(job: Job, *, steps: Sequence[str], after: int = 0) -> Iterator[DocumentAnswer]:
    """Every document of the job from behind that position on, in constant memory. `steps`: the recipe's, for what they cost."""
    while True:
        page = list(documents_of(job).filter(position__gt=after)[:_AT_ONCE])
        if not page:
            return
        for group in _by_size(page):
            yield from read_answers(job, group, steps=steps)
        after = page[-1].position


def read_answers(job: Job, documents: Sequence[JobDocument], *, steps: Sequence[str]) -> list[DocumentAnswer]:
    """With answers, citations, corrections and costs."""
    item_ids = [document.answer_item_id for document in documents if document.answer_item_id]
    bodies_of = _bodies_of(item_ids)
    bodies = read_bodies(list(set(bodies_of.values())))
    places = StepItem.objects.filter(item_id__in=item_ids).exclude(snapshot_id="").values_list("item_id", "snapshot_id", "given")
    retrieved = {item_id: (snapshot_id, given) for item_id, snapshot_id, given in places}
    passages = read_cited(job.workspace_id, [snapshot_id for snapshot_id, _ in retrieved.values()])
    corrections = _newest_corrections(item_ids)
    costs = _costs(job.id, steps, [document.id for document in documents])

    def answer_of(document: JobDocument) -> DocumentAnswer:
        item_id = document.answer_item_id if document.state == "answered" else None
        snapshot_id, given = retrieved.get(item_id, ("", None)) if item_id else ("", None)
        body = bodies.get(bodies_of.get(item_id, b"")) if item_id else None
        return DocumentAnswer(
            position=document.position,
            document_id=document.document_id,
            version_id=document.version_id,
            version=document.version_number,
            name=document.name,
            state=document.state,
            step=document.step,
            error_code=document.error_code,
            error_message=document.error_message,
            item_id=item_id,
            original=None if body is None else answer_text(body),
            corrected=corrections.get(item_id) if item_id else None,
            cost_usd=costs.get(document.id, _NOTHING),
            snapshot_id=snapshot_id,
            passages=[one for one in passages.get(snapshot_id, []) if given is None or one.number <= given],
        )

    return [answer_of(document) for document in documents]


def read_job_answer(job: Job, plan: Plan) -> DocumentAnswer | None:
    """The one answer of a recipe that answers all documents together, or why there is none, with what the whole job cost.

    It is told as that of a document which has it. None before the job has documents.
    """
    together = [step.name for step in plan.steps if step.each is Each.JOB]
    documents = documents_of(job)
    failed = documents.filter(state="failed", step__in=together)
    ways = (documents.filter(state="answered"), documents.filter(state="open"), failed, documents)
    document = next((found for way in ways if (found := way.first())), None)
    if document is None:
        return None
    (row,) = read_answers(job, [document], steps=())
    return replace(row, cost_usd=job.cost_usd)


def list_corrections(item_id: UUID) -> QuerySet[Correction]:
    """Newest first."""
    return Correction.objects.filter(item_id=item_id).select_related("created_by").order_by("-id")


def _bodies_of(item_ids: Sequence[UUID]) -> dict[UUID, bytes]:
    rows = Item.objects.filter(id__in=item_ids, answer_body_id__isnull=False).values_list("id", "answer_body_id")
    return {key: bytes(body) for key, body in rows if body is not None}


def _newest_corrections(item_ids: Sequence[UUID]) -> dict[UUID, Corrected]:
    rows = Correction.objects.filter(item_id__in=item_ids).select_related("created_by").order_by("item_id", "-id").distinct("item_id")
    return {row.item_id: Corrected(row.answer, row.note, row.created_by.username if row.created_by else "", row.created_at) for row in rows}


def _costs(job_id: UUID, steps: Sequence[str], documents: Sequence[UUID]) -> dict[UUID, Decimal]:
    with transaction.atomic(), server_cursor() as cursor:
        begin_short(cursor)
        cursor.execute(_COSTS, (job_id, list(steps), list(documents)))
        return dict(cursor.fetchall())


def _by_size(page: Sequence[JobDocument]) -> Iterator[list[JobDocument]]:
    """Cut a page so that no group's answers come to more than 8 MB (a single one may)."""
    bodies = _bodies_of([document.answer_item_id for document in page if document.answer_item_id])
    sizes = read_body_sizes(list(set(bodies.values())))
    group: list[JobDocument] = []
    total = 0
    for document in page:
        size = sizes.get(bodies.get(document.answer_item_id, b""), 0) if document.answer_item_id else 0
        if group and total + size > _PAGE_BYTES:
            yield group
            group, total = [], 0
        group.append(document)
        total += size
    yield group
