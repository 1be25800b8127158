"""The tool by which a model searches a collection of its caller's workspace. Which one, the request says, never the model."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from apps.jobs.actions.search_documents import search_documents
from apps.jobs.domain.tool import SideEffect, Tool, ToolAnswer, ToolContext, ToolFailedError, ToolRefusedError
from apps.knowledge.actions import PinTo
from apps.knowledge.domain.request import LONGEST_QUERY, SearchRequest
from apps.knowledge.queries import find_collection, list_passages
from apps.lib.http_errors import ApiError

if TYPE_CHECKING:
    from apps.knowledge.models import Snapshot

_USUAL_RESULTS, _MOST_RESULTS = 5, 20


def _check(options: Mapping[str, Any], workspace_id: UUID) -> None:
    if unknown := next((name for name in options if name not in ("collection", "top_k")), None):
        raise ToolRefusedError(unknown, "is no option of search_knowledge; it takes collection and top_k.")
    name, top_k = options.get("collection"), options.get("top_k", _USUAL_RESULTS)
    if not isinstance(name, str) or not name:
        raise ToolRefusedError("collection", "must name the collection that is searched.")
    if not isinstance(top_k, int) or isinstance(top_k, bool) or not 1 <= top_k <= _MOST_RESULTS:
        raise ToolRefusedError("top_k", f"must be a whole number from 1 to {_MOST_RESULTS}.")
    try:
        find_collection(workspace_id=workspace_id, name=name)
    except ApiError as refused:
        raise ToolRefusedError("collection", f"is not there. {refused.message}") from refused


def _search(context: ToolContext, arguments: dict[str, Any]) -> ToolAnswer:
    """Where a provider makes the vectors, the caller's key pays for the question's."""
    options = context.options
    try:
        snapshot = search_documents(
            collection=find_collection(workspace_id=context.workspace_id, name=options["collection"]),
            api_key_id=context.api_key_id,
            request=SearchRequest(query=arguments["query"], top_k=options.get("top_k", _USUAL_RESULTS)),
            pin_to=PinTo(context.pin.scope, context.pin.state_version) if context.pin else None,
            end_user=context.end_user,
            is_alone=True,
            now=context.now,
        )
    except ApiError as refused:
        raise ToolFailedError(refused.message) from refused
    return ToolAnswer(_told(snapshot), snapshot.id)


def _told(snapshot: "Snapshot") -> dict[str, Any]:
    results = [
        {"number": passage.number, "document": passage.document, "anchor": passage.anchor, "text": passage.text}
        for passage in list_passages(snapshot)
    ]
    return {"results": results} if results else {"results": [], "note": "Nothing was found; try other words."}


SEARCH_KNOWLEDGE = Tool(
    name="search_knowledge",
    description="Searches the documents that this conversation may use, by meaning and by words, and returns numbered passages. "
    "Ask for one thing at a time, in full words; cite a passage by its number and document.",
    parameters={
        "type": "object",
        "properties": {"query": {"type": "string", "description": "What to look for.", "minLength": 1, "maxLength": LONGEST_QUERY}},
        "required": ["query"],
        "additionalProperties": False,
    },
    side_effect=SideEffect.READ,
    run=_search,
    limit_seconds=60.0,
    is_ours=True,
    check_options=_check,
)
