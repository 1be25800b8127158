"""Prepare a turn: what becomes of it when the conversation isn't what its sender had read, then the request that asks the model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID

import orjson

from apps.accounts.domain.idempotency import RETRY_WITHIN
from apps.accounts.queries import find_live_keys
from apps.conversations.domain.conflicts import OnConflict
from apps.conversations.queries.turns import (
    SentAgain,
    find_conversation_by_id,
    find_forked_turn,
    find_open_turn,
    find_policy,
    find_sent_turn,
    read_state,
    tip_at,
)
from apps.jobs.actions.check_tools import tool_checker
from apps.jobs.actions.close_turns import close_summaries, close_turns
from apps.jobs.actions.compose_turn import Resolved, compose_turn
from apps.jobs.actions.count_turns import count_turn
from apps.jobs.actions.search_documents import Embedded
from apps.jobs.domain.call_request import Caller, CallRequest, read_call
from apps.jobs.domain.prompt_use import CHAT
from apps.jobs.domain.tool import PinScope
from apps.jobs.domain.tool_wish import with_pin
from apps.jobs.domain.turn_request import TurnRequest
from apps.lib.clock import current_time
from apps.lib.http_errors import GIVE_UP, ApiError
from apps.lib.ids import uuid7
from apps.providers.queries import cache_times

WAITED, MOVED, FORKED = "waited", "moved", "forked"


@dataclass(frozen=True, slots=True)
class TurnAsk:
    """A turn that somebody sends. `read_call` judges the request that comes of it, with the headers that it came with."""

    caller: Caller
    conversation_id: UUID
    request: TurnRequest
    read_call: Callable[[bytes], CallRequest]
    created_by_id: UUID | None = None


def turn_ask(
    caller: Caller, conversation_id: UUID, request: TurnRequest, *, headers: Mapping[str, str], created_by_id: UUID | None = None
) -> TurnAsk:
    """A turn that came with these headers."""
    as_call = partial(read_call, endpoint=CHAT, headers=headers, times=cache_times(), check_tools=tool_checker(caller.workspace_id))
    return TurnAsk(caller, conversation_id, request, as_call, created_by_id)


@dataclass(frozen=True, slots=True)
class Busy:
    """Other turns come first: the one that is being asked, which `item_id` ends, or those that have waited longer."""

    item_id: UUID | None


def find_sent(ask: TurnAsk) -> UUID | None:
    """The item of the same turn, sent before: for who tries again without a key, not knowing whether the first try arrived."""
    request = ask.request
    said = SentAgain(request.text, request.results, request.read.version if request.read else None)
    sent = find_sent_turn(ask.conversation_id, said)
    if sent is None and may_fork(ask):
        conversation = find_conversation_by_id(workspace_id=ask.caller.workspace_id, key=ask.conversation_id)
        sent = find_forked_turn(conversation, said, since=current_time() - RETRY_WITHIN)
    return sent.item_id if sent else None


def may_fork(ask: TurnAsk) -> bool:
    """Whether it is asked in a new conversation when it comes too late, or while another one is being answered."""
    return (ask.request.on_conflict or find_policy(ask.conversation_id)) is OnConflict.FORK


def prepare_turn(ask: TurnAsk, *, resolution: str = "", embedded: Embedded | None = None, is_behind: bool = False) -> CallRequest | Busy:
    """The call with its turn; ApiError 409 `conversation_conflict` where the policy says reject.

    `is_behind`: others wait for the conversation, so a turn that may wait does. UnembeddedError as of `compose_turn`.
    """
    if ask.caller.api_key_id and not find_live_keys([ask.caller.api_key_id]):
        raise ApiError(401, "invalid_api_key", "The API key was revoked, or has expired, while the turn waited. It was not asked.")
    close_turns(conversation_id=ask.conversation_id)
    close_summaries(conversation_id=ask.conversation_id)
    conversation = find_conversation_by_id(workspace_id=ask.caller.workspace_id, key=ask.conversation_id)
    read, param = ask.request.read, ask.request.state_param
    under_way = find_open_turn(conversation.id)
    is_stale = read is not None and not read.fits(conversation.version, bytes(conversation.tip_hash))
    resolved = Resolved(conversation.version, resolution or (MOVED if is_stale else ""))
    policy = ask.request.on_conflict or OnConflict(conversation.on_conflict)
    if policy is OnConflict.RETRY and (under_way or is_behind):
        return Busy(under_way.item_id if under_way else None)
    if is_stale or under_way:
        if policy is OnConflict.REJECT or (
            read is not None and is_stale and not read.fits(read.version, tip_at(conversation, read.version, param=param))
        ):
            state = read_state(conversation).token
            standing = "a turn is being answered in it" if under_way else "it has moved on"
            message = f"The conversation is in state {state}, and {standing}. Read it, and send the turn again with that state."
            count_turn("rejected")
            raise ApiError(409, "conversation_conflict", message, param=param, headers=GIVE_UP)
        if policy is OnConflict.FORK:
            resolved = Resolved(read.version if read else conversation.version, FORKED, fork_to=uuid7())
    composed = compose_turn(conversation, ask.request, resolved, created_by_id=ask.created_by_id, embedded=embedded)
    call = ask.read_call(orjson.dumps(composed.values))
    if isinstance(composed.values.get("tools"), list):
        # What its tools find is found in this state as well.
        asked_in = composed.start.state
        call = replace(call, body=orjson.dumps(with_pin(composed.values, PinScope(asked_in.scope, asked_in.version, asked_in.token))))
    return replace(call, end_user=conversation.end_user or call.end_user, turn=composed.start)
