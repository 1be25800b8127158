"""Submit documents: a recipe, a collection and which of its documents become a job, which starts once they are read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.conf import settings
from django.db import transaction

from apps.jobs.actions.record_change import record_change
from apps.jobs.actions.require_room import require_room
from apps.jobs.actions.submit_batch import require_first_model, require_price
from apps.jobs.domain.lifecycle import JobStatus, Lane
from apps.jobs.domain.recipe import Plan, load_plan
from apps.jobs.domain.step_request import ENDPOINT
from apps.jobs.domain.submission import COMPLETION_WINDOW_SECONDS
from apps.jobs.models import Job, Recipe
from apps.knowledge.domain.names import MetadataRefusedError, check_metadata
from apps.knowledge.queries import NewestVersion, collections_of, find_revision, list_newest
from apps.lib.enqueue import enqueue
from apps.lib.http_errors import ApiError
from apps.lib.ids import ids_in_order
from apps.lib.sql import server_cursor
from apps.providers.queries import find_callable
from apps.spend.actions import make_job_budget

_COPY = """
COPY jobs_jobdocument (id, job_id, position, document_id, version_id, version_number, name, state, step, error_code, error_message)
FROM STDIN (FORMAT BINARY)
"""
_TYPES = ["uuid", "uuid", "int4", "uuid", "uuid", "int4", "varchar", "varchar", "varchar", "varchar", "text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Which documents of a collection: these, else those with this metadata, else all of them."""

    document_ids: Sequence[UUID] | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On what terms it runs. `reuse`: what was asked before, and is still kept, isn't asked again."""

    lane: Lane = Lane.DEFAULT
    end_user: str = ""
    feature: str = ""
    metadata: Mapping[str, str] | None = None
    max_cost_usd: Decimal | None = None
    on_budget: str = "wait"
    reuse: bool = True


EVERY_DOCUMENT = Chosen()
USUAL_TERMS = Terms()


def submit_documents(
    *,
    workspace_id: UUID,
    recipe_id: UUID,
    collection_id: UUID,
    chosen: Chosen = EVERY_DOCUMENT,
    terms: Terms = USUAL_TERMS,
    api_key_id: UUID | None = None,
    created_by_id: UUID | None = None,
    now: datetime,
) -> Job:
    """The job, `validating`, with the newest version of each document, also of those that are yet to be read.

    ApiError 404 for a recipe or collection that the workspace doesn't have; 400 when the recipe is archived, nobody can answer for one of
    its models, or there are no such documents; 503 while the lane takes nothing more.
    """
    recipe, plan = judge_recipe(workspace_id=workspace_id, recipe_id=recipe_id)
    require_room(terms.lane)
    with transaction.atomic():
        revision = find_revision(collection_id)  # First: what is read between the two is looked at again at the start.
        documents = choose_documents(workspace_id=workspace_id, collection_id=collection_id, chosen=chosen)
        job = Job.objects.create(
            workspace_id=workspace_id,
            api_key_id=api_key_id,
            created_by_id=created_by_id,
            kind="documents",
            status=JobStatus.VALIDATING,
            lane=terms.lane,
            endpoint=ENDPOINT,
            model_name=_only_model(plan),
            end_user=terms.end_user,
            feature=terms.feature,
            metadata=dict(terms.metadata) if terms.metadata is not None else None,
            max_cost_usd=terms.max_cost_usd,
            on_budget=terms.on_budget,
            policy=plan.policy.as_json(),
            first_model_name=plan.policy.first_model,
            recipe=recipe,
            collection_id=collection_id,
            collection_revision=revision,
            document_count=len(documents),
            takes_over=terms.reuse,
            created_at=now,
            expires_at=now + timedelta(seconds=COMPLETION_WINDOW_SECONDS),
        )
        _store(job, documents)
        make_job_budget(workspace_id=workspace_id, job_id=job.id, cap_usd=job.max_cost_usd)
        record_change(job, "submitted", after={"lane": job.lane, "recipe": str(recipe), "documents": len(documents)})
        enqueue("jobs.advance_job", queue="ingest", job_id=str(job.id))
    return job


def judge_recipe(*, workspace_id: UUID, recipe_id: UUID) -> tuple[Recipe, Plan]:
    """One that new jobs can use, with what it does; ApiError otherwise."""
    recipe = Recipe.objects.filter(workspace_id=workspace_id, id=recipe_id).first()
    if recipe is None:
        raise ApiError(404, "not_found", "No such recipe.", param="recipe")
    if recipe.archived_at is not None:
        raise ApiError(400, "recipe_archived", f"The recipe {recipe} is archived; new jobs can't use it.", param="recipe")
    plan = load_plan(recipe.plan)
    for name in dict.fromkeys(step.model for step in plan.steps):
        model = find_callable(name)
        if model is None:
            raise ApiError(400, "model_not_found", f"The recipe {recipe} asks {name!r}, which nobody answers for here.", param="recipe")
        require_price(model.id, param="recipe")
    require_first_model(plan.policy.first_model, param="recipe")
    return recipe, plan


def choose_documents(*, workspace_id: UUID, collection_id: UUID, chosen: Chosen) -> list[NewestVersion]:
    """In the order that they came; ApiError when there are none, too many, or one that is named is not there."""
    if not collections_of(workspace_id).filter(id=collection_id).exists():
        raise ApiError(404, "not_found", "No such collection.", param="collection")
    try:
        wanted = check_metadata(chosen.metadata)
    except MetadataRefusedError as refused:
        raise ApiError(400, "invalid_value", refused.message, param="filter") from refused
    documents = list_newest(collection_id, document_ids=chosen.document_ids, metadata=wanted)
    if chosen.document_ids is not None and len(documents) < len(set(chosen.document_ids)):
        raise ApiError(400, "document_not_found", "One of these documents is not in the collection, or was deleted.", param="documents")
    if not documents:
        raise ApiError(400, "no_documents", "The collection has no such documents.", param="documents")
    if len(documents) > settings.MAX_LINES:
        message = f"These are {len(documents):,} documents; {settings.MAX_LINES:,} at most go into one job."
        raise ApiError(400, "too_many_documents", message, param="documents")
    return documents


def _only_model(plan: Plan) -> str:
    names = {step.model for step in plan.steps}
    return names.pop() if len(names) == 1 else ""


def _store(job: Job, documents: Sequence[NewestVersion]) -> None:
    with server_cursor() as cursor, cursor.copy(_COPY) as copy:
        copy.set_types(_TYPES)
        for position, (key, one) in enumerate(zip(ids_in_order(len(documents)), documents, strict=True), start=1):
            copy.write_row((key, job.id, position, one.document_id, one.version_id, one.number, one.name, "open", "", "", ""))
