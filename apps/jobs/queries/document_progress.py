"""How far a job of documents is: its documents by state, its steps by what became of their items."""

from dataclasses import dataclass
from uuid import UUID

from django.db.models import Count

from apps.jobs.domain.recipe import Plan, Step
from apps.jobs.models import DocumentState, JobDocument, StepItem
from apps.lib.sql import server_cursor

_STEPS = """
SELECT place.step, item.state, count(*) FROM jobs_stepitem AS place JOIN jobs_item AS item ON item.id = place.item_id
WHERE place.job_id = %b GROUP BY place.step, item.state
"""


@dataclass(frozen=True, slots=True)
class StepProgress:
    """The items of one step so far; more may come of the steps before it."""

    step: Step
    done: int
    dead: int
    open: int

    @property
    def all(self) -> int:
        return self.done + self.dead + self.open

    @property
    def done_percent(self) -> float:
        return 100 * self.done / max(1, self.all)

    @property
    def dead_percent(self) -> float:
        return 100 * self.dead / max(1, self.all)


def count_steps(job_id: UUID, plan: Plan) -> list[StepProgress]:
    """In the order of the plan; it reads every item of the job."""
    counted: dict[tuple[str, str], int] = {}
    with server_cursor() as cursor:
        cursor.execute(_STEPS, (job_id,))
        counted = {(step, state): count for step, state, count in cursor}

    def total(step: str, *states: str) -> int:
        return sum(count for (name, state), count in counted.items() if name == step and (state in states or not states))

    return [
        StepProgress(step, done := total(step.name, "done"), dead := total(step.name, "dead"), total(step.name) - done - dead)
        for step in plan.steps
    ]


def count_documents(job_id: UUID) -> dict[str, int]:
    """By state: open, answered, failed."""
    counted = dict(JobDocument.objects.filter(job_id=job_id).values_list("state").annotate(number=Count("pk")))
    return {state.value: counted.get(state.value, 0) for state in DocumentState}


def list_step_items(job_id: UUID, plan: Plan, job_document_id: UUID) -> list[StepItem]:
    """What was asked for a document, in the order of the plan."""
    order = {step.name: index for index, step in enumerate(plan.steps)}
    rows = StepItem.objects.filter(job_id=job_id, step__in=list(order), job_document_id=job_document_id)
    return sorted(rows, key=lambda row: (order[row.step], row.round, row.part))
