"""Make a collection; documents come to it by upload."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.accounts.actions import record_audit
from apps.accounts.queries import lock_workspace
from apps.knowledge.domain.embedders import DIMENSIONS, LOCAL, LOCAL_DIMENSIONS
from apps.knowledge.domain.names import LANGUAGES, NAME, NAME_RULE
from apps.knowledge.models import Collection
from apps.knowledge.queries import collections_of
from apps.lib.http_errors import GIVE_UP, ApiError
from apps.providers.queries import find_callable

MOST_COLLECTIONS = 1000


@transaction.atomic
def create_collection(
    *,
    workspace_id: UUID,
    name: str,
    description: str = "",
    language: str = "simple",
    embedder: str = LOCAL,
    dimensions: int | None = None,
    now: datetime,
) -> Collection:
    """`embedder`: the model that makes its vectors, and how many numbers they have; of the local one as many as it makes.

    ApiError 400 for a name, language or embedder that isn't one, 409 when the name is taken or the workspace has as many as it may.
    """
    if not NAME.fullmatch(name):
        raise ApiError(400, "invalid_value", NAME_RULE, param="name")
    if language not in LANGUAGES:
        raise ApiError(400, "invalid_value", f"'language' is one of {', '.join(LANGUAGES)}.", param="language")
    dimensions = _dimensions(embedder, dimensions)
    lock_workspace(workspace_id)
    collections = collections_of(workspace_id)
    if collections.filter(name=name).exists():
        raise ApiError(409, "name_taken", f"There is a collection {name!r} already.", param="name", headers=GIVE_UP)
    if collections.count() >= MOST_COLLECTIONS:
        raise ApiError(409, "too_many_collections", f"A workspace has at most {MOST_COLLECTIONS:,} collections.", headers=GIVE_UP)
    collection = Collection(
        workspace_id=workspace_id,
        name=name,
        description=description,
        language=language,
        embedder=embedder,
        dimensions=dimensions,
        created_at=now,
        updated_at=now,
    )
    collection.save(force_insert=True)
    record_audit(
        verb="created",
        object_type="collection",
        object_id=collection.id,
        object_label=name,
        workspace_id=workspace_id,
        after={"name": name, "description": description, "language": language, "embedder": embedder, "dimensions": dimensions},
    )
    return collection


def _dimensions(embedder: str, wanted: int | None) -> int:
    if embedder == LOCAL:
        if wanted not in (None, LOCAL_DIMENSIONS):
            raise ApiError(400, "invalid_value", f"{LOCAL} makes vectors of {LOCAL_DIMENSIONS} numbers.", param="dimensions")
        return LOCAL_DIMENSIONS
    if find_callable(embedder) is None:
        message = f"There is no model {embedder[:100]!r}. GET /v1/models lists those that there are; {LOCAL!r} needs no provider."
        raise ApiError(400, "model_not_found", message, param="embedder")
    if wanted not in DIMENSIONS:
        told = ", ".join(map(str, DIMENSIONS))
        raise ApiError(
            400, "invalid_value", f"Say how many numbers the vectors of {embedder!r} shall have: one of {told}.", param="dimensions"
        )
    return wanted
