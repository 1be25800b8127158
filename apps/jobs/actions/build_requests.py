"""Build the requests of steps that can be asked now: what documents say, what was answered and what is retrieved, in their texts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from uuid import UUID

from django.conf import settings

from apps.jobs.actions.read_places import Answered, DocumentOfJob, Places, last_answer, read_places
from apps.jobs.actions.retrieve_passages import retrieve_passages
from apps.jobs.actions.write_items import NewItem
from apps.jobs.domain.export_table import answer_text
from apps.jobs.domain.fit_passages import fit_passages
from apps.jobs.domain.fold import Place, cut_groups, groups_of_round
from apps.jobs.domain.next_asks import Ask
from apps.jobs.domain.recipe import Each, Plan, Step
from apps.jobs.domain.step_request import (
    StepRefusedError,
    Told,
    compose_request,
    fill_query,
    hash_input,
    join_answers,
    name_item,
    reads_text,
    tag_answers,
    tag_passages,
)
from apps.jobs.models import Job
from apps.knowledge.domain.chunks import Piece, cut_chunks
from apps.knowledge.domain.sections import Section, join_text
from apps.knowledge.queries import read_sections, read_version_facts
from apps.lib.tokenizer import count_tokens
from apps.providers.domain.catalogue import Catalogue
from apps.traces.queries import read_bodies, read_body_sizes

_PAGE_BYTES = 8 << 20
_GONE = StepRefusedError("document_gone", "What the document says is not kept any more.")
_ANSWER_GONE = StepRefusedError("answer_expired", "An answer that this step uses was kept as long as the workspace's retention allows.")


@dataclass(frozen=True, slots=True)
class Due:
    """A round of a step that is to be asked of a document."""

    document: DocumentOfJob
    ask: Ask


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a step can't be asked of a document."""

    document_id: UUID
    step: str
    code: str
    message: str


@dataclass(slots=True)
class Built:
    """Items that are to be written together, and what can't be asked."""

    items: list[NewItem] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)


@dataclass(frozen=True)
class Recipe:
    """What a job does, and whom it asks."""

    job: Job
    plan: Plan
    catalogue: Catalogue

    @cached_property
    def steps(self) -> dict[str, Step]:
        return {step.name: step for step in self.plan.steps}

    @cached_property
    def indexes(self) -> dict[str, int]:
        return {step.name: index for index, step in enumerate(self.plan.steps)}

    def make_item(self, ask: Ask, told: Told, *, document: DocumentOfJob | None, part: int, searched: Sequence[UUID]) -> NewItem:
        """StepRefusedError says why it can't be asked."""
        step, policy, snapshot_id, given = ask.step, self.plan.policy, "", None
        model_id = self.catalogue.model_id(policy.first_model or step.model)
        if model_id is None:
            raise StepRefusedError("model_not_found", f"Nobody answers for {policy.first_model or step.model!r} here any more.")
        if step.passages:
            query = fill_query(step, told)
            snapshot_id, found = retrieve_passages(self.job, query=query, most=step.passages, document_ids=searched)
            shown = fit_passages(step, told, found)
            # Up to this number: in between some may be gone.
            given = shown[-1].number if shown else 0
            told = told.with_passages(tag_passages(shown))
        body = compose_request(step, told, policy=policy, most_bytes=settings.MAX_LINE_BYTES)
        position = document.position if document else None
        return NewItem(
            job_document_id=document.id if document else None,
            step=step.name,
            round=ask.round,
            part=part,
            model_id=model_id,
            custom_id=name_item(step, self.indexes[step.name], position=position, round_=ask.round, part=part),
            body=body,
            input_hash=hash_input(body, policy),
            prompt_version=step.prompt_version,
            snapshot_id=snapshot_id,
            given=given,
        )


def build_for_documents(recipe: Recipe, dues: Sequence[Due]) -> Iterator[Built]:
    """In groups whose texts and answers come to some megabytes; all items of one round of one document are in one group."""
    if not dues:
        return
    steps = recipe.steps
    used = {name for due in dues for name in (*due.ask.step.after, due.ask.step.name)}
    places = read_places(recipe.job.id, [name for name in used if steps[name].each is not Each.JOB], [due.document.id for due in dues])
    places |= read_places(recipe.job.id, [name for name in used if steps[name].each is Each.JOB], None)
    for group in _by_size(dues, places):
        texts = read_sections([due.document.version_id for due in group if reads_text(due.ask.step)])
        reader = _Reader(recipe, places, read_bodies(_bodies(group, places)))
        built = Built()
        for due in group:
            try:
                built.items += reader.items_of(due, texts.get(due.document.version_id))
            except StepRefusedError as refused:
                built.refused.append(Refusal(due.document.id, due.ask.step.name, refused.code, refused.message))
        yield built


def build_for_job(recipe: Recipe, ask: Ask, documents: Sequence[Sequence[DocumentOfJob]], *, searched: Sequence[UUID]) -> list[NewItem]:
    """The items of a round of a step that asks for all documents together; StepRefusedError says why it can't be asked."""
    step, steps = ask.step, recipe.steps
    of_job = read_places(recipe.job.id, [name for name in (*step.after, step.name) if steps[name].each is Each.JOB], None)
    told_once = {name: _Answers(of_job).one(None, name) for name in step.after if steps[name].each is Each.JOB}
    items = []
    if ask.round:
        folded = next((name for name in step.after if steps[name].each is not Each.JOB), "")
        own = _Answers(of_job)
        for part, group in groups_of_round(ask.count, step.group, ask.round):
            joined = join_answers([own.at(None, step.name, place) for place in group])
            items.append(recipe.make_item(ask, Told(answers=told_once | {folded: joined}), document=None, part=part, searched=searched))
        return items
    names = [name for name in step.after if steps[name].each is not Each.JOB]
    told: dict[str, list[tuple[str, str]]] = {name: [] for name in names}
    for page in documents:
        answers = _Answers(read_places(recipe.job.id, names, [document.id for document in page]))
        for name in names:
            told[name] += [(document.name, answers.all(document.id, name)) for document in page]
    many = len(told[names[0]]) if names else 0
    for part, places in enumerate(cut_groups(range(many), step.group)):
        answers_of = {name: tag_answers([told[name][place] for place in places]) for name in names}
        items.append(recipe.make_item(ask, Told(answers={**told_once, **answers_of}), document=None, part=part, searched=searched))
    return items


class _Answers:
    """What was answered, read when it is wanted; StepRefusedError when it is kept no longer."""

    def __init__(self, places: Places, contents: dict[bytes, bytes] | None = None) -> None:
        self._places = places
        bodies = [answered.body_id for one in places.values() for answered in one.values() if answered.body_id is not None]
        self._contents = read_bodies(bodies) if contents is None else contents

    def at(self, document_id: UUID | None, step: str, place: Place) -> str:
        return self._text(self._places[document_id, step][place])

    def one(self, document_id: UUID | None, step: str) -> str:
        return self._text(last_answer(self._places[document_id, step]))

    def parts(self, document_id: UUID | None, step: str) -> list[str]:
        """Of the parts of its text, in order."""
        places = self._places[document_id, step]
        return [self._text(places[place]) for place in sorted(places)]

    def all(self, document_id: UUID, step: str) -> str:
        """Everything that a step answered of a document: one result, or those of all parts."""
        places = self._places[document_id, step]
        if max(round_ for round_, _ in places):
            return self.one(document_id, step)
        return join_answers(self.parts(document_id, step))

    def _text(self, answered: Answered) -> str:
        content = self._contents.get(answered.body_id) if answered.body_id is not None else None
        if content is None:
            raise _ANSWER_GONE
        return answer_text(content)


class _Reader(_Answers):
    """Makes the items of documents."""

    def __init__(self, recipe: Recipe, places: Places, contents: dict[bytes, bytes]) -> None:
        super().__init__(places, contents)
        self._recipe = recipe

    def items_of(self, due: Due, sections: Sequence[Section] | None) -> list[NewItem]:
        step, document = due.ask.step, due.document
        if sections is None and reads_text(step):
            raise _GONE
        if step.each is Each.PART:
            return self._parts(due, sections or [])
        text = join_text(sections or [])
        once = {name: self._whole(name, document) for name in step.after}
        folded = next((name for name in step.after if self._recipe.steps[name].each is Each.PART), "")
        if due.ask.round:
            groups = groups_of_round(due.ask.count, step.group, due.ask.round)
            told = [(part, join_answers([self.at(document.id, step.name, place) for place in places])) for part, places in groups]
        elif folded:
            told = list(enumerate(map(join_answers, cut_groups(self.parts(document.id, folded), step.group))))
        else:
            told = [(0, "")]
        return [
            self._item(due, Told(document.name, text, answers=once | ({folded: joined} if folded else {})), part) for part, joined in told
        ]

    def _parts(self, due: Due, sections: Sequence[Section]) -> list[NewItem]:
        step, document = due.ask.step, due.document
        pieces = _cut(sections, step.part_tokens)
        items = []
        for part, piece in enumerate(pieces):
            answers = {name: self._of_part(name, document, part, step) for name in step.after}
            told = Told(document.name, piece.text, piece.anchor, part + 1, len(pieces), answers=answers)
            items.append(self._item(due, told, part))
        return items

    def _whole(self, name: str, document: DocumentOfJob) -> str:
        each = self._recipe.steps[name].each
        return self.one(None, name) if each is Each.JOB else self.all(document.id, name)

    def _of_part(self, name: str, document: DocumentOfJob, part: int, step: Step) -> str:
        """Steps that cut the text alike see each other's answers part by part."""
        other = self._recipe.steps[name]
        is_cut_alike = other.each is Each.PART and other.part_tokens == step.part_tokens
        return self.at(document.id, name, (0, part)) if is_cut_alike else self._whole(name, document)

    def _item(self, due: Due, told: Told, part: int) -> NewItem:
        return self._recipe.make_item(due.ask, told, document=due.document, part=part, searched=[due.document.document_id])


def _cut(sections: Sequence[Section], part_tokens: int) -> list[Piece]:
    """At least one part, so that a document that says nothing is asked for, too."""
    pieces = cut_chunks(sections, max_tokens=part_tokens, overlap_tokens=0, count=count_tokens)
    return pieces or [Piece(0, "", "", "", 0, 0)]


def _by_size(dues: Sequence[Due], places: Places) -> Iterator[list[Due]]:
    facts = read_version_facts([due.document.version_id for due in dues if reads_text(due.ask.step)])
    sizes = read_body_sizes(_bodies(dues, places))
    group: list[Due] = []
    total = 0
    for due in dues:
        known = facts.get(due.document.version_id) if reads_text(due.ask.step) else None
        size = (known.characters if known else 0) + sum(sizes.get(body_id, 0) for body_id in _bodies([due], places))
        if group and total + size > _PAGE_BYTES:
            yield group
            group, total = [], 0
        group.append(due)
        total += size
    if group:
        yield group


def _bodies(dues: Sequence[Due], places: Places) -> list[bytes]:
    found = []
    for due in dues:
        for name in (*due.ask.step.after, due.ask.step.name):
            for key in ((due.document.id, name), (None, name)):
                found += [answered.body_id for answered in places.get(key, {}).values() if answered.body_id is not None]
    return list(dict.fromkeys(found))
