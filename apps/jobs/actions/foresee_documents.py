"""Foresee what a job of documents would come to: how many requests and tokens, the cost, the budgets and the time. Writes nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery

from apps.jobs.actions.foresee import Intent, foresee
from apps.jobs.actions.preview_upload import Whose, preview_requests
from apps.jobs.actions.submit_documents import EVERY_DOCUMENT, USUAL_TERMS, Chosen, Terms, choose_documents, judge_recipe
from apps.jobs.domain.foresight import Foresight
from apps.jobs.domain.imagined import Example, imagine_requests, reads_documents
from apps.jobs.domain.recipe import Each, Plan
from apps.jobs.models import DocumentState, Item, JobDocument, Recipe
from apps.knowledge.domain.chunks import cut_chunks
from apps.knowledge.domain.sections import Section, join_text
from apps.knowledge.queries import NewestVersion, read_sections, read_version_facts
from apps.lib.tokenizer import count_tokens, load_tokenizer
from apps.traces.queries import read_body_sizes

# So many documents stand for all; their parts are cut and counted while somebody waits.
_EXAMPLES = 24
_EXAMPLE_CHARACTERS = 400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentsForesight:
    """`unread` of the documents are yet to be read; `known` were answered by this very recipe in this version, and are not asked again.

    `foresight` is of what is asked; None when that is nothing, or nothing is known of it.
    """

    recipe: Recipe
    documents: int
    unread: int
    known: int
    requests: int
    is_whole: bool
    foresight: Foresight | None
    at: datetime


def foresee_documents(
    *,
    workspace_id: UUID,
    recipe_id: UUID,
    collection_id: UUID,
    chosen: Chosen = EVERY_DOCUMENT,
    terms: Terms = USUAL_TERMS,
    api_key_id: UUID | None = None,
    sees_amounts: bool = True,
    now: datetime,
) -> DocumentsForesight:
    """ApiError as `submit_documents` raises it."""
    recipe, plan = judge_recipe(workspace_id=workspace_id, recipe_id=recipe_id)
    documents = choose_documents(workspace_id=workspace_id, collection_id=collection_id, chosen=chosen)
    known = _known(recipe, documents) if terms.reuse else set()
    asked = _look([one for one in documents if one.version_id not in known])
    of_job_alone = bool(known) and not asked.good and not asked.unread and not _were_together(recipe, plan, known)
    if of_job_alone:
        asked = _look([one for one in documents if one.version_id in known])
    whose = Whose(workspace_id, terms.feature, terms.end_user)
    preview = preview_requests(
        _bodies(plan, asked, of_job_alone=of_job_alone), times=asked.times(plan), policy=plan.policy, now=now, whose=whose
    )
    intent = Intent(workspace_id, terms.lane, api_key_id, terms.max_cost_usd, sees_amounts)
    return DocumentsForesight(
        recipe=recipe,
        documents=len(documents),
        unread=asked.unread,
        known=len(known),
        requests=preview.requests,
        is_whole=len(asked.examples) == len(asked.good) and not asked.unread,
        foresight=foresee(preview, intent, now=now) if preview.requests else None,
        at=now,
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """Documents that are to be asked for: those that were read, with their lengths; some as examples; how many are yet to be read."""

    good: Sequence[NewestVersion]
    characters: Mapping[UUID, int]
    examples: Sequence[NewestVersion]
    unread: int

    def times(self, plan: Plan) -> float:
        """How many times the examples all of them are. What is yet to be read is taken to be as long as the rest."""
        if not self.examples or all(step.each is Each.JOB for step in plan.steps):
            return 1.0
        return (self._weight(self.good, plan) / self._weight(self.examples, plan)) * (1 + self.unread / len(self.good))

    def _weight(self, documents: Sequence[NewestVersion], plan: Plan) -> int:
        return sum(max(1, self.characters[one.version_id]) if reads_documents(plan) else 1 for one in documents)


def _look(documents: Sequence[NewestVersion]) -> _Asked:
    facts = read_version_facts([one.version_id for one in documents])
    there = [one for one in documents if one.version_id in facts]
    good = [one for one in there if not facts[one.version_id].is_pending and not facts[one.version_id].is_refused]
    characters = {one.version_id: facts[one.version_id].characters for one in good}
    return _Asked(good, characters, _sample(good, characters), sum(facts[one.version_id].is_pending for one in there))


def _bodies(plan: Plan, asked: _Asked, *, of_job_alone: bool) -> Iterator[dict[str, Any]]:
    load_tokenizer()
    texts = read_sections([one.version_id for one in asked.examples])
    examples = [_example(one.name, texts[one.version_id]) for one in asked.examples if one.version_id in texts]
    if examples:
        requests = imagine_requests(plan, examples, most_bytes=settings.MAX_LINE_BYTES, of_job_alone=of_job_alone)
        yield from map(orjson.loads, requests)


def _known(recipe: Recipe, documents: Sequence[NewestVersion]) -> set[UUID]:
    """The versions that a job of this recipe has answered, whose answers are still kept."""
    answer = Item.objects.filter(id=OuterRef("answer_item_id")).values("answer_body_id")[:1]
    answered = _answered(recipe).filter(document_id__in=[one.document_id for one in documents])
    rows = list(answered.annotate(body_id=Subquery(answer)).values_list("version_id", "body_id").distinct())
    kept = read_body_sizes(list({bytes(body_id) for _, body_id in rows if body_id is not None}))
    found = {version_id for version_id, body_id in rows if body_id is not None and bytes(body_id) in kept}
    return found.intersection(one.version_id for one in documents)


def _were_together(recipe: Recipe, plan: Plan, known: set[UUID]) -> bool:
    """Whether what is asked of all documents together was asked of just these; so it is where nothing is."""
    if all(step.each is not Each.JOB for step in plan.steps):
        return True
    jobs = _answered(recipe).values("job_id").annotate(all=Count("id"), of_these=Count("id", filter=Q(version_id__in=known)))
    return jobs.filter(all=len(known), of_these=len(known)).exists()


def _answered(recipe: Recipe) -> QuerySet[JobDocument]:
    return JobDocument.objects.filter(job__recipe=recipe, state=DocumentState.ANSWERED)


def _sample(documents: Sequence[NewestVersion], characters: Mapping[UUID, int]) -> list[NewestVersion]:
    """Evenly from all of them, as much as can be looked at."""
    step = max(1, len(documents) // _EXAMPLES)
    chosen: list[NewestVersion] = []
    size = 0
    for one in documents[::step][:_EXAMPLES]:
        size += characters[one.version_id]
        if chosen and size > _EXAMPLE_CHARACTERS:
            break
        chosen.append(one)
    return chosen


def _example(name: str, sections: Sequence[Section]) -> Example:
    @lru_cache
    def parts(tokens: int) -> tuple[str, ...]:
        pieces = cut_chunks(sections, max_tokens=tokens, overlap_tokens=0, count=count_tokens)
        return tuple(piece.text for piece in pieces) or ("",)

    return Example(name, join_text(sections), parts)
