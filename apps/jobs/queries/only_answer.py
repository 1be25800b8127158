"""The answer of a job that is one request, for its own page."""

from dataclasses import dataclass
from uuid import UUID

from apps.jobs.domain.export_table import answer_text
from apps.jobs.models import Item, Job
from apps.traces.queries import read_bodies


@dataclass(frozen=True, slots=True)
class OnlyAnswer:
    """`text` is empty when the answer isn't kept any more."""

    item_id: UUID
    text: str


def read_only_answer(job: Job) -> OnlyAnswer | None:
    """None for jobs of more than one request, before the answer, and where pages of documents tell it."""
    if (job.total, job.done) != (1, 1) or job.kind in {"documents", "index"}:
        return None
    item = Item.objects.filter(job=job).only("id", "answer_body_id").first()
    if item is None or item.answer_body_id is None:
        return None
    key = bytes(item.answer_body_id)
    return OnlyAnswer(item.id, answer_text(read_bodies([key]).get(key)))
