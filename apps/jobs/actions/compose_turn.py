"""Compose a turn: what the model is told in a state of a conversation.

The same words in the same state make the same request, whoever composes it, as long as nobody changes how the conversation is asked: what
was found for them is pinned, and the summary is the one that the first turn of the state was told, if that was asked in the conversation or
in the one that it was forked from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson

from apps.conversations.domain.memory import Thing
from apps.conversations.domain.state import State
from apps.conversations.domain.turns import TurnStart
from apps.conversations.queries.memory import read_memory
from apps.conversations.queries.turns import Context, read_context
from apps.jobs.actions.search_documents import Embedded, search_embedded
from apps.jobs.domain.call_request import CallRefusedError
from apps.jobs.domain.turn_request import TurnRequest
from apps.jobs.domain.turn_texts import EARLIER, FROM_MEMORY, FROM_PASSAGES
from apps.knowledge.actions import PinTo
from apps.knowledge.domain.request import LONGEST_QUERY, SearchRequest
from apps.knowledge.queries import find_shown_collection, read_cited
from apps.lib.http_errors import GIVE_UP, ApiError
from apps.lib.tokenizer import count_tokens
from apps.prompts.domain import assembly
from apps.prompts.domain.assembly import Part, Rule, SectionName, Sections, WindowTooSmallError, assemble

if TYPE_CHECKING:
    from apps.conversations.models import Conversation, Turn

_PASSAGES = 8
# Kept for an answer that the request doesn't bound.
_ANSWER_TOKENS = 1_000
_BOUNDS = ("max_completion_tokens", "max_tokens")


@dataclass(frozen=True, slots=True)
class ComposedTurn:
    """The chat request, and what is known of the turn before it is asked."""

    values: dict[str, Any]
    start: TurnStart


@dataclass(frozen=True, slots=True)
class _Found:
    """What a turn is answered from: the key of its question, and what was found for it in its state."""

    query_key: str = ""
    snapshot_id: str = ""


@dataclass(frozen=True, slots=True)
class Resolved:
    """In which version the turn is asked, and how that came about; `fork_to`: in which new conversation."""

    version: int
    resolution: str = ""
    fork_to: UUID | None = None


def compose_turn(
    conversation: "Conversation", request: TurnRequest, resolved: Resolved, *, created_by_id: UUID | None, embedded: Embedded | None = None
) -> ComposedTurn:
    """ApiError when the collection can't be searched; CallRefusedError when the request doesn't fit the window or its conversation.

    UnembeddedError when a model must make the question's vector first: `embedded` brings it.
    """
    context = read_context(conversation, version=resolved.version, is_forked=resolved.fork_to is not None)
    pending = _pending(context.turns, request)
    memory_seq, remembered = read_memory(
        workspace_id=conversation.workspace_id,
        end_user=conversation.end_user,
        seq=request.read.memory_seq if resolved.fork_to and request.read else None,
    )
    state = State(context.version, context.tip_hash, memory_seq)
    # What its tools came to belongs to the question: it is answered from what was found for that. Nothing is looked for then.
    known = _Found("", context.turns[pending].snapshot_id) if pending is not None else None
    found = known or _retrieve(conversation, state, request.text, embedded)
    exchanges = [*_exchanges(context.turns, pending), *(request.results or ())]
    sections = _sections(conversation, request, context, pending, found=found, remembered=remembered)
    reserved = _reserved(request.rest, conversation.window_tokens) + _count(exchanges)
    try:
        assembled = assemble(sections, conversation.window_tokens, reserved)
    except WindowTooSmallError as error:
        message = f"{error} Say less, or give the conversation a greater window_tokens."
        raise CallRefusedError("context_length_exceeded", message, "messages") from error
    start = TurnStart(
        conversation_id=conversation.id,
        state=state,
        input=request.text,
        messages=request.results,
        input_tokens=count_tokens(request.text) + _count(request.results),
        query_key=found.query_key,
        snapshot_id=found.snapshot_id,
        summary_id=context.summary.id if context.summary else None,
        report=assembled.report.as_json(),
        read=request.read,
        resolution=resolved.resolution,
        fork_to=resolved.fork_to,
        created_by_id=created_by_id,
        asked_as_of=conversation.updated_at,
    )
    return ComposedTurn({"model": conversation.model_name, **request.rest, "messages": [*assembled.messages, *exchanges]}, start)


def _sections(
    conversation: "Conversation", request: TurnRequest, context: Context, pending: int | None, *, found: _Found, remembered: Sequence[Thing]
) -> Sections:
    passages = _passages(conversation, found)
    earlier = [Part(EARLIER + context.summary.text)] if context.summary else []
    instructions = (FROM_PASSAGES if passages else "", FROM_MEMORY if remembered or earlier else "")
    return Sections(
        input=request.text if pending is None else context.turns[pending].input,
        system="\n\n".join(filter(None, (conversation.instructions, request.system))),
        instructions="\n\n".join(filter(None, instructions)),
        passages=passages,
        memory=[*earlier, *(Part(f"{thing.key}: {thing.text}") for thing in remembered)],
        history=[said for turn in context.turns[:pending] for said in _said(turn)],
        rules=_rules(conversation.window_tokens),
    )


def _count(messages: Sequence[Any] | None) -> int:
    return count_tokens(orjson.dumps(messages).decode()) if messages else 0


def _pending(turns: Sequence["Turn"], request: TurnRequest) -> int | None:
    """Where the user's turn stands that results of tools belong to; None when the user speaks."""
    if request.results is None:
        return None
    wanted = {call["id"] for call in turns[-1].tool_calls or ()} if turns else set()
    given = {result["tool_call_id"] for result in request.results}
    if wanted != given:
        message = (
            f"The last turn waits for results of the calls {sorted(wanted)}; these are of {sorted(given)}."
            if wanted
            else ("The last turn called no tool: there is nothing that these would be results of.")
        )
        raise CallRefusedError("invalid_value", message, "messages")
    return max((place for place, turn in enumerate(turns) if turn.input), default=None)


def _retrieve(conversation: "Conversation", state: State, asked: str, embedded: Embedded | None) -> _Found:
    """Pinned: whoever asks the same in this state, in whichever process, reads what the first one found."""
    if conversation.collection_id is None:
        return _Found()
    collection = find_shown_collection(workspace_ids=[conversation.workspace_id], collection_id=conversation.collection_id)
    if collection is None:
        message = "The collection that the conversation is answered from is not there any more. Choose another one, or none."
        raise ApiError(409, "collection_gone", message, headers=GIVE_UP)
    request = SearchRequest(query=asked[:LONGEST_QUERY], top_k=_PASSAGES)
    pin_to = PinTo(state.scope, state.version)
    snapshot = search_embedded(collection=collection, request=request, pin_to=pin_to, end_user=conversation.end_user, embedded=embedded)
    return _Found(request.key(collection.public_id), snapshot.id)


def _passages(conversation: "Conversation", found: _Found) -> list[Part]:
    """In their order; of what has been deleted since, the number is left."""
    if not found.snapshot_id:
        return []
    cited = read_cited(conversation.workspace_id, [found.snapshot_id]).get(found.snapshot_id, [])
    by_number = {one.number: Part(one.text, label=one.place) for one in cited}
    return [by_number.get(number, Part("")) for number in range(1, max(by_number, default=0) + 1)]


def _rules(window_tokens: int) -> dict[SectionName, Rule]:
    """Much memory leaves room for what was found and what was said last."""
    return {
        SectionName.HISTORY: Rule(priority=1, minimum_tokens=window_tokens // 8),
        SectionName.PASSAGES: Rule(priority=2, minimum_tokens=window_tokens // 4),
        SectionName.MEMORY: Rule(priority=3, maximum_tokens=window_tokens // 4),
    }


def _said(turn: "Turn") -> list[assembly.Turn]:
    return [
        assembly.Turn("user", turn.input, turn.input_tokens),
        assembly.Turn("assistant", turn.answer, turn.answer_tokens),
    ]


def _exchanges(turns: Sequence["Turn"], pending: int | None) -> list[dict[str, Any]]:
    """The calls of the caller's tools and their results since the user spoke, word for word."""
    told: list[dict[str, Any]] = []
    for turn in turns[pending:] if pending is not None else ():
        told += turn.messages or ()
        told.append({"role": "assistant", "content": turn.answer or None, "tool_calls": turn.tool_calls})
    return told


def _reserved(rest: dict[str, Any], window_tokens: int) -> int:
    """What the request bounds its answer by, or else a quarter of a small window."""
    bounds, usual = (rest.get(name) for name in _BOUNDS), min(_ANSWER_TOKENS, window_tokens // 4)
    return next((bound for bound in bounds if isinstance(bound, int) and not isinstance(bound, bool) and bound > 0), usual)
