"""Conversations and their turns at the HTTP edge."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from rest_framework import serializers

from apps.conversations.domain.conflicts import OnConflict
from apps.conversations.domain.state import CONVERSATION_PREFIX, State
from apps.jobs.domain.citations import cited_of
from apps.jobs.models import ITEM_PREFIX
from apps.knowledge.domain.cited import CitedPassage
from apps.knowledge.queries import read_cited
from apps.lib.ids import public_id
from apps.lib.strict_fields import BlankTextField, TextField

_COLLECTION, _DOCUMENT, _SNAPSHOT = "col_", "doc_", "snap_"
_LEAST_WINDOW, _MOST_WINDOW = 512, 2_000_000


class ConversationSerializer(serializers.Serializer[Any]):
    """What was said with somebody. `state` names what a turn begins from: send it back to be sure that nothing has been said since."""

    id = serializers.CharField(source="public_id", read_only=True)
    title = serializers.CharField(read_only=True)
    end_user = serializers.CharField(read_only=True, help_text="Who speaks: memory is theirs.")
    model = serializers.CharField(source="model_name", read_only=True)
    instructions = serializers.CharField(read_only=True)
    collection = serializers.SerializerMethodField(help_text="The collection whose passages turns are answered from.")
    window_tokens = serializers.IntegerField(read_only=True)
    on_conflict = serializers.ChoiceField(choices=[policy.value for policy in OnConflict], read_only=True)
    version = serializers.IntegerField(read_only=True, help_text="How many turns were answered.")
    state = serializers.SerializerMethodField()
    forked_from = serializers.SerializerMethodField()
    forked_at_version = serializers.IntegerField(read_only=True, allow_null=True)
    created_at = serializers.DateTimeField(read_only=True)
    updated_at = serializers.DateTimeField(read_only=True)

    def get_collection(self, conversation: Any) -> str | None:
        return public_id(_COLLECTION, conversation.collection_id) if conversation.collection_id else None

    def get_state(self, conversation: Any) -> str:
        return State(conversation.version, bytes(conversation.tip_hash), conversation.memory_seq).token

    def get_forked_from(self, conversation: Any) -> str | None:
        return public_id(CONVERSATION_PREFIX, conversation.forked_from_id) if conversation.forked_from_id else None


class ConversationRequestSerializer(serializers.Serializer[Any]):
    """A conversation to begin."""

    model = TextField(max_length=200, help_text="Who answers, where a turn names nobody else.")
    title = BlankTextField(max_length=200, default="", help_text="What people know it by.")
    end_user = BlankTextField(max_length=255, default="", help_text="Who speaks. Without one nothing is remembered.")
    instructions = BlankTextField(max_length=100_000, default="", help_text="What the model is told first, in each turn.")
    collection = BlankTextField(max_length=100, default="", help_text="The name or id of the collection that turns are answered from.")
    window_tokens = serializers.IntegerField(
        min_value=_LEAST_WINDOW, max_value=_MOST_WINDOW, default=8192, help_text="How much the model reads at once."
    )
    on_conflict = serializers.ChoiceField(
        choices=[policy.value for policy in OnConflict],
        default=OnConflict.RETRY.value,
        help_text="What becomes of a turn when the conversation isn't any more what its sender had read: docs/conversations.md.",
    )


class ConversationChangeSerializer(serializers.Serializer[Any]):
    """What the next turns are asked with; what is left out stays as it is."""

    model = TextField(max_length=200, required=False)
    title = BlankTextField(max_length=200, required=False)
    instructions = BlankTextField(max_length=100_000, required=False)
    collection = BlankTextField(max_length=100, required=False, help_text="Empty: none any more.")
    window_tokens = serializers.IntegerField(min_value=_LEAST_WINDOW, max_value=_MOST_WINDOW, required=False)
    on_conflict = serializers.ChoiceField(choices=[policy.value for policy in OnConflict], required=False)


class ForkRequestSerializer(serializers.Serializer[Any]):
    """From where another conversation begins."""

    version = serializers.IntegerField(min_value=0, required=False, allow_null=True, default=None, help_text="Left out: as it is now.")


class CitationSerializer(serializers.Serializer[Any]):
    """A passage that the answer cites by its number."""

    number = serializers.IntegerField()
    document = serializers.CharField()
    document_name = serializers.CharField()
    version = serializers.IntegerField()
    anchor = serializers.CharField()
    text = serializers.CharField()


class TurnSerializer(serializers.Serializer[Any]):
    """What was said in a state, and what was answered, which made the next one."""

    id = serializers.CharField()
    conversation = serializers.CharField()
    number = serializers.IntegerField(help_text="The version that it makes.")
    status = serializers.ChoiceField(choices=["open", "answered", "failed"])
    input = serializers.CharField(allow_blank=True)
    messages = serializers.ListField(child=serializers.DictField(), allow_null=True, help_text="Results of the caller's tools.")
    answer = serializers.CharField(allow_blank=True)
    tool_calls = serializers.ListField(child=serializers.DictField(), allow_null=True)
    citations = CitationSerializer(many=True)
    item = serializers.CharField(help_text="GET /api/items/{id} shows its attempts and cost.")
    snapshot = serializers.CharField(allow_null=True, help_text="What it was answered from: GET /api/snapshots/{id}.")
    asked_in = serializers.CharField(help_text="The state that it began from.")
    state = serializers.CharField(allow_null=True, help_text="The state that it made.")
    resolution = serializers.ChoiceField(
        choices=["", "waited", "moved", "forked"], allow_blank=True, help_text="How a conflict was resolved; empty: there was none."
    )
    sections = serializers.DictField(allow_null=True, help_text="What each section of the request took, in tokens, and what was cut.")
    error = serializers.CharField(allow_null=True, help_text="Why there is no answer.")
    cost_usd = serializers.DecimalField(max_digits=20, decimal_places=12)
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)


def present_turns(workspace_id: UUID, turns: Sequence[Any]) -> list[dict[str, Any]]:
    """Of one workspace, each with the passages that it cites."""
    cited = read_cited(workspace_id, [turn.snapshot_id for turn in turns if turn.snapshot_id])
    return [_present_turn(turn, cited.get(turn.snapshot_id, [])) for turn in turns]


def _present_turn(turn: Any, passages: Sequence[CitedPassage]) -> dict[str, Any]:
    """As callers see it; `passages`: those of its snapshot."""
    told = {
        "id": turn.public_id,
        "conversation": public_id(CONVERSATION_PREFIX, turn.conversation_id),
        "number": turn.number,
        "status": turn.state,
        "input": turn.input,
        "messages": turn.messages,
        "answer": turn.answer,
        "tool_calls": turn.tool_calls,
        "citations": [_citation(passage) for passage in cited_of(turn.answer, passages)],
        "item": public_id(ITEM_PREFIX, turn.item_id),
        "snapshot": f"{_SNAPSHOT}{turn.snapshot_id}" if turn.snapshot_id else None,
        "asked_in": turn.asked_in.token,
        "state": State(turn.number, bytes(turn.hash), turn.memory_seq).token if turn.hash else None,
        "resolution": turn.resolution,
        "sections": turn.report,
        "error": turn.error_code or None,
        "cost_usd": turn.cost_usd,
        "created_at": turn.created_at,
        "ended_at": turn.ended_at,
    }
    return dict(TurnSerializer(told).data)


def _citation(passage: CitedPassage) -> dict[str, Any]:
    return {
        "number": passage.number,
        "document": public_id(_DOCUMENT, passage.document_id),
        "document_name": passage.document,
        "version": passage.version,
        "anchor": passage.anchor,
        "text": passage.text,
    }
