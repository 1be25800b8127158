"""Conversations and turns, for whoever composes the next turn and for those who look."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import DurationField, Exists, ExpressionWrapper, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce, Now

from apps.conversations.domain.conflicts import OnConflict
from apps.conversations.domain.state import CONVERSATION_PREFIX, State, first_hash
from apps.conversations.domain.window import SaidTurn, due_summary
from apps.conversations.models import Conversation, Profile, Summary, Turn, TurnState
from apps.conversations.queries.memory import read_memory
from apps.lib.http_errors import ApiError
from apps.lib.ids import first_uuid7, parse_public_id

_AGAIN_AFTER = timedelta(minutes=10)
_MOST_DOUBLED = 8
# OpenAI's packages send again within 8 s after a connection broke; who names what he had read says which turn he means for longer.
_JUST_NOW, _A_WHILE_AGO = timedelta(seconds=10), timedelta(minutes=1)
# As many are told, or summarised, at once.
MOST_TURNS = 400


@dataclass(frozen=True, slots=True)
class Context:
    """What was said up to a version: a summary, if there is one, and the turns behind it, oldest first."""

    version: int
    tip_hash: bytes
    summary: Summary | None
    turns: Sequence[Turn]


def conversations_of(workspace_id: UUID | None) -> QuerySet[Conversation]:
    """A workspace's, each with `memory_seq`; none without one."""
    found = Conversation.objects.filter(workspace_id=workspace_id) if workspace_id else Conversation.objects.none()
    profiles = Profile.objects.filter(workspace=OuterRef("workspace"), end_user=OuterRef("end_user")).exclude(end_user="")
    return found.annotate(memory_seq=Coalesce(Subquery(profiles.values("seq")), 0))


def find_conversation(*, workspace_id: UUID, conversation_id: str) -> Conversation:
    """ApiError 404 for one that is not there, or another workspace's."""
    key = parse_public_id(CONVERSATION_PREFIX, conversation_id)
    found = conversations_of(workspace_id).filter(id=key).first() if key else None
    if found is None:
        raise ApiError(404, "not_found", f"No conversation with the id {conversation_id[:100]!r}.")
    return found


def find_conversation_by_id(*, workspace_id: UUID, key: UUID) -> Conversation:
    """ApiError 404 for one that is not there any more."""
    found = conversations_of(workspace_id).filter(id=key).first()
    if found is None:
        raise ApiError(404, "not_found", "The conversation is not there any more.")
    return found


def find_policy(conversation_id: UUID) -> OnConflict | None:
    """What becomes of its turns in a conflict, where they say nothing else; None when it is not there any more."""
    policy = Conversation.objects.filter(id=conversation_id).values_list("on_conflict", flat=True).first()
    return OnConflict(policy) if policy else None


def find_shown_conversation(*, workspace_ids: Sequence[UUID] | None, key: UUID) -> Conversation | None:
    """One of these workspaces', of all when None."""
    found = Conversation.objects.select_related("workspace").filter(id=key)
    return (found if workspace_ids is None else found.filter(workspace_id__in=workspace_ids)).first()


def turns_of(conversation_id: UUID | None) -> QuerySet[Turn]:
    """All that were begun, in order; failed ones too. None without a conversation."""
    turns = Turn.objects.filter(conversation_id=conversation_id) if conversation_id else Turn.objects.none()
    return turns.order_by("number", "id")


def find_turn_of_item(item_id: UUID) -> Turn | None:
    """The turn that an item asks."""
    return Turn.objects.filter(item_id=item_id, copied_from_id=None).first()


def answerable_turns(item: UUID | OuterRef) -> QuerySet[Turn]:
    """The turn that an item asks, while its answer would be what is said next: nothing was said in its state since, or is asked there."""
    others = Turn.objects.filter(conversation=OuterRef("conversation"), number=OuterRef("number")).exclude(state=TurnState.FAILED)
    is_there = Q(conversation__version=F("number") - 1, conversation__tip_hash=F("previous_hash"))
    is_free = Q(state=TurnState.OPEN) | (Q(state=TurnState.FAILED) & ~Exists(others))
    return Turn.objects.filter(is_there & is_free, item_id=item, copied_from_id=None)


def find_open_turn(conversation_id: UUID) -> Turn | None:
    return Turn.objects.filter(conversation_id=conversation_id, state=TurnState.OPEN).first()


@dataclass(frozen=True, slots=True)
class SentAgain:
    """What somebody says who may have said it before; `read_version`: what he says that he had read."""

    text: str
    messages: Sequence[Any] | None
    read_version: int | None

    @property
    def unheard(self) -> Q:
        kept = _JUST_NOW if self.read_version is None else _A_WHILE_AGO
        return Q(state=TurnState.OPEN) | Q(state=TurnState.ANSWERED, ended_at__gt=Now() - kept)

    def is_said_in(self, turn: Turn) -> bool:
        told = (turn.input, turn.messages, turn.read_version, turn.copied_from_id)
        return told == (self.text, self.messages, self.read_version, None)


def find_sent_turn(conversation_id: UUID, said: SentAgain) -> Turn | None:
    """The same turn, if it is being answered, or was just now: what somebody sends again who heard nothing.

    Who names the version that he had read is known by that, for a minute. Anybody else may say the same twice: his is the newest turn, and
    its answer so fresh that he can't have heard it and gone on.
    """
    turns = Turn.objects.filter(said.unheard, conversation_id=conversation_id)
    if said.read_version is not None:
        turns = turns.filter(read_version=said.read_version)
    newest = turns.order_by("-number").first()
    return newest if newest and said.is_said_in(newest) else None


def find_forked_turn(conversation: Conversation, said: SentAgain, *, since: datetime) -> Turn | None:
    """As `find_sent_turn`, of one that was forked when it was sent; begun at `since` or later."""
    turns = Turn.objects.filter(
        said.unheard,
        workspace_id=conversation.workspace_id,
        id__gte=first_uuid7(since),
        resolution="forked",
        read_version=said.read_version,
        conversation__forked_from_id=conversation.id,
    )
    return next((turn for turn in turns.order_by("-id") if said.is_said_in(turn)), None)


def read_context(conversation: Conversation, *, version: int, is_forked: bool = False, most_turns: int = MOST_TURNS) -> Context:
    """As it was in a version: nothing behind it is seen. `is_forked`: another turn may be asked there at this moment.

    With the summary that the turn was told that was asked there before, here or where this conversation was forked from; else the newest.
    """
    tip = bytes(conversation.tip_hash) if version == conversation.version else tip_at(conversation, version)
    turns = conversation.turns.filter(state=TurnState.ANSWERED, number__lte=version)
    may_be_asked = is_forked or version < conversation.version or version == conversation.forked_at_version
    asked = _find_asked(conversation, version, tip) if may_be_asked else None
    told_id = asked.summary_id if asked else None
    summary = Summary.objects.filter(id=told_id).first() if told_id else None
    if summary is None and (told_id or not asked):
        summary = conversation.summaries.filter(state=TurnState.ANSWERED, upto__lte=version).order_by("-upto").first()
    behind = turns.filter(number__gt=summary.upto) if summary else turns
    told = list(behind.order_by("-number").defer("report")[:most_turns])[::-1]
    return Context(version, tip, summary, told)


def _find_asked(conversation: Conversation, version: int, tip: bytes) -> Turn | None:
    """The first turn of this state. One that failed binds nobody: what it was told may be why."""
    places = [conversation.id, *filter(None, [conversation.forked_from_id])]
    asked = Turn.objects.filter(conversation__in=places, number=version + 1, previous_hash=tip).exclude(state=TurnState.FAILED)
    return asked.order_by("id").only("summary_id").first()


def tip_at(conversation: Conversation, version: int, *, param: str = "state") -> bytes:
    """The hash of the turn that made a version; ApiError 400 when there is no such version yet: `param` named it."""
    if version == 0:
        return first_hash(conversation.root_id)
    found = conversation.turns.filter(state=TurnState.ANSWERED, number=version).values_list("hash", flat=True).first()
    if found is None:
        message = f"The conversation is at version {conversation.version}; there is no {version}."
        raise ApiError(400, "invalid_value", message, param=param)
    return bytes(found)


def read_state(conversation: Conversation) -> State:
    """As it is now."""
    seq, _ = read_memory(workspace_id=conversation.workspace_id, end_user=conversation.end_user)
    return State(conversation.version, bytes(conversation.tip_hash), seq)


@dataclass(frozen=True, slots=True)
class DueSummary:
    """Turns up to `upto` that a summary should tell of, together with what the one before it says."""

    conversation: Conversation
    before: Summary | None
    turns: Sequence[Turn]
    upto: int


def find_due_summary(conversation_id: UUID) -> DueSummary | None:
    """None while all fits, while one is being written, and for ten minutes after one has failed; twice as long after each further one.

    It is asked after each turn: the texts are read once one is due.
    """
    conversation = Conversation.objects.filter(id=conversation_id).first()
    if conversation is None:
        return None
    age = ExpressionWrapper(Now() - F("ended_at"), output_field=DurationField())
    summaries = list(conversation.summaries.annotate(age=age).order_by("-upto").defer("text"))
    before = next((one for one in summaries if one.state == TurnState.ANSWERED), None)
    told = before.upto if before else 0
    failed = [one for one in summaries if one.state == TurnState.FAILED and one.upto > told]
    again_after = _AGAIN_AFTER * 2 ** min(max(len(failed) - 1, 0), _MOST_DOUBLED)
    if any(one.state == TurnState.OPEN for one in summaries) or any(one.age < again_after for one in failed):
        return None
    turns = conversation.turns.filter(state=TurnState.ANSWERED, number__gt=told).order_by("number")
    counts = turns.annotate(is_spoken=~Q(input="")).values_list("number", "input_tokens", "answer_tokens", "is_spoken")
    said = [SaidTurn(number, asked + answered, is_spoken=is_spoken) for number, asked, answered, is_spoken in counts[:MOST_TURNS]]
    upto = due_summary(said, window_tokens=conversation.window_tokens, most_turns=MOST_TURNS) if said else None
    return DueSummary(conversation, before, list(turns.filter(number__lte=upto).defer("report")), upto) if upto else None
