"""Advance a job of documents: start it once they are read, then ask whatever can be asked next of each of them and of all together.

Safe to run again after a kill and twice at once: a session lock lets one through, and what is asked is written in short transactions,
each with its places, which an index holds once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import structlog
from django.db.models import F

from apps.jobs.actions.build_requests import Due, Recipe, Refusal, build_for_documents, build_for_job
from apps.jobs.actions.close_documents import close_answered, close_dead, close_refused, close_with_job
from apps.jobs.actions.load_items import NoLongerWantedError
from apps.jobs.actions.read_places import last_answer, read_documents, read_job_standings, read_open_documents, read_places
from apps.jobs.actions.start_documents import start_documents
from apps.jobs.actions.write_items import NewItem, write_items
from apps.jobs.domain.lifecycle import ItemState, JobStatus
from apps.jobs.domain.next_asks import find_done, find_next, is_open, is_stuck, steps_of_documents, steps_of_job
from apps.jobs.domain.recipe import Each, load_plan
from apps.jobs.domain.step_request import StepRefusedError
from apps.jobs.models import DocumentState, Item, Job
from apps.knowledge.queries import documents_at
from apps.lib.advisory_lock import advisory_lock
from apps.lib.enqueue import enqueue
from apps.providers.queries import load_catalogue

log = structlog.get_logger(__name__)

_RUNS = (JobStatus.RUNNING, JobStatus.PAUSED)


def advance_job(*, job_id: UUID, clock: Callable[[], datetime]) -> None:
    """As far as it goes at this moment; a job that waits for a document to be read, or has ended, is left alone."""
    with advisory_lock(job_id) as is_mine:
        if not is_mine:
            return
        job = Job.objects.select_related("recipe").filter(id=job_id, kind="documents").first()
        if job is None or not (job.status in _RUNS or start_documents(job, now=clock())):
            return
        advance(job, clock=clock)
    # Who ended its last item meanwhile found the lock taken.
    if Job.objects.filter(id=job_id, ended_at=None, total__lte=F("done") + F("dead")).exists():
        enqueue("jobs.finish_job", queue="ingest", job_id=str(job_id))


def advance(job: Job, *, clock: Callable[[], datetime]) -> int:
    """How many items were made; the job's lock is held. What is answered by reuse leads on at once."""
    if job.recipe is None:
        raise ValueError("Only jobs of a recipe have steps.")
    made = 0
    recipe = Recipe(job, load_plan(job.recipe.plan), load_catalogue())
    try:
        while True:
            job.refresh_from_db(fields=["total", "done", "dead", "advanced"])
            passed = _Pass(recipe, clock)
            passed.over_documents()
            passed.over_job()
            made += passed.made
            if not passed.goes_on:
                break
    except NoLongerWantedError:
        log.info("advance_ended", job_id=str(job.id))
        return made
    # Unless something of it was put back meanwhile, which `reopen` tells by this column.
    Job.objects.filter(id=job.id, advanced=job.advanced).update(advanced=job.done + job.dead)
    log.info("job_advanced", job_id=str(job.id), items=made)
    return made


@dataclass
class _Pass:
    """One look at all that is open of a job. `behind`: steps that some document has yet to come through."""

    recipe: Recipe
    clock: Callable[[], datetime]
    made: int = 0
    reused: int = 0
    closed: int = 0
    behind: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.job, plan = self.recipe.job, self.recipe.plan
        self.of_documents, self.of_job = steps_of_documents(plan), steps_of_job(plan)
        self.standings = read_job_standings(self.job.id, [step.name for step in self.of_job])

    @property
    def goes_on(self) -> bool:
        """There may be more to ask at once: of what was answered before, or of all together, without those that failed."""
        return self.reused > 0 or (bool(self.of_job) and self.closed > 0)

    def over_documents(self) -> None:
        names = [step.name for step in self.of_documents]
        done_of_job = find_done(self.of_job, self.standings)
        for page in read_open_documents(self.job.id, names):
            through, died, dues = [], [], list[Due]()
            for document in page:
                done = find_done(self.of_documents, document.standings)
                self.behind.update(set(names) - done)
                if is_stuck(document.standings) and not is_open(document.standings):
                    died.append(document.id)
                if len(done) == len(names):
                    through.append(document.id)
                asks = find_next(self.of_documents, document.standings, done_elsewhere=done_of_job)
                dues += [Due(document, ask) for ask in asks]
            self.closed += close_dead(self.job, names, died, now=self.clock())
            if self.recipe.plan.result_step.each is not Each.JOB:
                close_answered(self.job, self.recipe.plan, through, now=self.clock())
            for built in build_for_documents(self.recipe, dues):
                self.closed += close_refused(built.refused, now=self.clock())
                self._write(built.items)

    def over_job(self) -> None:
        """Steps for all documents together wait for each of them, and for what died to be run again or discarded."""
        if not self.of_job or _waits_for_person(self.job.id):
            return
        passed = {step.name for step in self.of_documents} - self.behind
        for ask in find_next(self.of_job, self.standings, done_elsewhere=passed):
            documents = list(read_documents(self.job.id, states=[DocumentState.OPEN, DocumentState.ANSWERED]))
            if not documents:
                return
            searched = self._searched([document.document_id for page in documents for document in page])
            try:
                self._write(build_for_job(self.recipe, ask, documents, searched=searched))
            except StepRefusedError as refused:
                close_refused(
                    [Refusal(document.id, ask.step.name, refused.code, refused.message) for page in documents for document in page],
                    now=self.clock(),
                )
        result = self.recipe.plan.result_step
        if result.name in find_done(self.of_job, self.standings):
            close_with_job(
                self.job, last_answer(read_places(self.job.id, [result.name], None)[None, result.name]).item_id, now=self.clock()
            )

    def _searched(self, document_ids: list[UUID]) -> list[UUID]:
        """None where these are all that the job's searches see of the collection."""
        collection_id, revision = self.job.collection_id, self.job.collection_revision
        everything = documents_at(collection_id, revision) if collection_id and revision is not None else set()
        return [] if everything.issubset(document_ids) else document_ids

    def _write(self, items: Sequence[NewItem]) -> None:
        self.reused += write_items(self.job, items, now=self.clock())
        self.made += len(items)


def _waits_for_person(job_id: UUID) -> bool:
    return Item.objects.filter(job_id=job_id, state=ItemState.DEAD, discarded_at=None).exists()
