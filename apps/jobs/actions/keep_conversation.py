"""Begin and change conversations: here, where models and collections are known, their names are looked up."""

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import transaction

from apps.conversations import actions as conversations
from apps.conversations.queries.turns import find_conversation_by_id, tip_at
from apps.jobs.actions.close_turns import close_turns
from apps.jobs.domain.call_request import Caller
from apps.knowledge.queries import find_collection
from apps.lib.http_errors import ApiError
from apps.lib.ids import uuid7
from apps.providers.queries import find_callable

if TYPE_CHECKING:
    from apps.conversations.models import Conversation


def begin_conversation(*, caller: Caller, model: str, now: datetime, created_by_id: UUID | None = None, **values: Any) -> "Conversation":
    """ApiError 404 for a model or a collection that is not there."""
    columns = _columns(caller.workspace_id, {"model": model, **values})
    return conversations.create_conversation(
        workspace_id=caller.workspace_id, api_key_id=caller.api_key_id, created_by_id=created_by_id, now=now, **columns
    )


def change_conversation(conversation: "Conversation", *, now: datetime, **values: Any) -> "Conversation":
    """What the next turns are asked with; ApiError as for a new one."""
    return conversations.change_conversation(conversation, now=now, **_columns(conversation.workspace_id, values))


def fork_at(conversation: "Conversation", *, version: int | None, created_by_id: UUID | None = None, now: datetime) -> "Conversation":
    """Another conversation that begins as this one was in `version` (None: as it is); ApiError 400 when there is none such."""
    close_turns(conversation_id=conversation.id)
    conversation = find_conversation_by_id(workspace_id=conversation.workspace_id, key=conversation.id)
    at = conversation.version if version is None else version
    tip_at(conversation, at, param="version")
    with transaction.atomic():
        return conversations.fork_conversation(original=conversation, version=at, fork_id=uuid7(), created_by_id=created_by_id, now=now)


def _columns(workspace_id: UUID, values: dict[str, Any]) -> dict[str, Any]:
    columns = {name: value for name, value in values.items() if name not in ("model", "collection")}
    if "model" in values:
        if find_callable(values["model"]) is None:
            message = f"The model {values['model'][:100]!r} does not exist. GET /v1/models lists those that do."
            raise ApiError(404, "model_not_found", message, param="model")
        columns["model_name"] = values["model"]
    if "collection" in values:
        name = values["collection"]
        columns["collection_id"] = find_collection(workspace_id=workspace_id, name=name).id if name else None
    return columns
