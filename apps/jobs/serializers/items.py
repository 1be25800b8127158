"""The native item, and its whole record: what was asked and answered, by whom, after which attempts, at what cost."""

from typing import TYPE_CHECKING, Any

import orjson
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.conversations.domain.state import CONVERSATION_PREFIX
from apps.jobs.domain.lifecycle import ItemState
from apps.jobs.models import BATCH_PREFIX, ITEM_PREFIX, Item
from apps.jobs.queries import read_item_servers
from apps.jobs.queries.item_record import ItemRecord
from apps.lib.ids import public_id

if TYPE_CHECKING:
    from uuid import UUID

_RUN_PREFIX, _SNAPSHOT_PREFIX = "run_", "snap_"


class ItemListSerializer(serializers.ListSerializer[Item]):
    """A page of items; who served them is read for all at once."""

    def to_representation(self, data: Any) -> Any:
        items = list(data)
        self.context["servers"] = read_item_servers(items)  # type: ignore[index]  # a dict, which the stubs hide
        return super().to_representation(items)


class ItemSerializer(serializers.ModelSerializer[Item]):
    """One item as it stands, without its texts."""

    id = serializers.CharField(source="public_id")
    job_id = serializers.SerializerMethodField()
    state = serializers.ChoiceField(choices=[state.value for state in ItemState])
    answered_by = serializers.CharField(help_text="cache, reuse, first_model, model (after the first one), repair; empty: plainly.")
    served_by = serializers.SerializerMethodField(
        help_text="The provider that gave the answer, and its name for the model, as in `openai-team-a/gpt-x-mini`."
        " Null: there is no answer, it came from the cache or an earlier job, or the provider has been deleted."
    )

    reused_from = serializers.SerializerMethodField(
        help_text="The item of an earlier job that the answer was given to, when it was taken over. Null: it was not."
    )

    class Meta:
        model = Item
        list_serializer_class = ItemListSerializer
        fields = [
            "id", "job_id", "position", "custom_id", "state", "lane", "feature", "prompt_version", "end_user", "attempts",
            "outcome", "status_code",
            "answered_by", "served_by", "reused_from", "error_code", "error_message", "input_tokens", "output_tokens", "cost_usd",
            "not_before", "claimed_at", "ended_at",
        ]  # fmt: skip
        read_only_fields = fields

    def get_job_id(self, item: Item) -> str:
        return public_id(BATCH_PREFIX, item.job_id)

    def get_reused_from(self, item: Item) -> str | None:
        return public_id(ITEM_PREFIX, item.reused_item_id) if item.reused_item_id else None

    def get_served_by(self, item: Item) -> str | None:
        servers: dict[UUID, str] = self.context["servers"]
        return servers.get(item.id)


class ExchangeSerializer(serializers.Serializer[Any]):
    """One HTTP request to a provider and its answer."""

    provider = serializers.SerializerMethodField(help_text="Null: the provider has been deleted.")
    upstream_model = serializers.CharField()
    path = serializers.CharField()
    outcome = serializers.CharField()
    status_code = serializers.IntegerField(allow_null=True)
    error = serializers.CharField()
    provider_request_id = serializers.CharField()
    headers = serializers.DictField(allow_null=True, help_text="The rate-limit and retry headers of the answer.")
    sent_at = serializers.DateTimeField()
    first_byte_seconds = serializers.FloatField(allow_null=True)
    duration_seconds = serializers.FloatField()
    answer = serializers.SerializerMethodField(
        help_text="What the provider answered, good or bad, as it came; a text if it was no JSON. Null: nothing came,"
        " it is above 1 MB, or its time of keeping is over."
    )

    @extend_schema_field({"nullable": True})
    def get_answer(self, exchange: dict[str, Any]) -> Any:
        answers: dict[bytes, bytes] = self.context["answers"]
        body_id = exchange["answer_body_id"]
        return None if body_id is None else _readable(answers.get(bytes(body_id)))

    def get_provider(self, exchange: dict[str, Any]) -> str | None:
        names: dict[UUID, str] = self.context["providers"]
        return names.get(exchange["provider_id"])


class RunSerializer(serializers.Serializer[Any]):
    """One attempt."""

    id = serializers.SerializerMethodField()
    attempt = serializers.IntegerField()
    outcome = serializers.CharField()
    decision = serializers.CharField()
    error_code = serializers.CharField()
    error_message = serializers.CharField()
    claimed_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField()
    exchanges = ExchangeSerializer(many=True)

    def get_id(self, run: dict[str, Any]) -> str:
        return public_id(_RUN_PREFIX, run["id"])


class ChargeSerializer(serializers.Serializer[Any]):
    """What one used answer cost, with the unit prices that it was computed from."""

    seq = serializers.IntegerField()
    upstream_model = serializers.CharField()
    input_tokens = serializers.IntegerField()
    cached_input_tokens = serializers.IntegerField()
    cache_write_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()
    reasoning_tokens = serializers.IntegerField()
    prices = serializers.DictField(child=serializers.CharField(), allow_null=True)
    cost_usd = serializers.DecimalField(max_digits=20, decimal_places=12)
    created_at = serializers.DateTimeField()


class EffectSerializer(serializers.Serializer[Any]):
    """One call of a tool of the platform's that a model asked for."""

    seq = serializers.IntegerField(help_text="The charge of the answer that asked for it.")
    place = serializers.IntegerField(help_text="Which of that answer's calls, from 0.")
    tool = serializers.CharField()
    side_effect = serializers.CharField(help_text="pure, read or write; empty for a tool that there is not.")
    arguments = serializers.CharField(allow_null=True, help_text="As the model wrote them; null once their time of keeping is over.")
    result = serializers.CharField(allow_null=True, help_text="What the model was told.")
    outcome = serializers.CharField(help_text="ok, failed, refused, timeout or unknown; empty: it has no end.")
    snapshot_id = serializers.SerializerMethodField(help_text="What it had found in a collection.")
    state = serializers.CharField(help_text="Of the conversation that the model was asked in; empty: in none.")
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)

    def get_snapshot_id(self, effect: dict[str, Any]) -> str | None:
        return f"{_SNAPSHOT_PREFIX}{effect['snapshot_id']}" if effect["snapshot_id"] else None


class AskedInSerializer(serializers.Serializer[Any]):
    """The turn of a conversation that an item asks."""

    conversation = serializers.SerializerMethodField()
    number = serializers.IntegerField()
    asked_in = serializers.CharField(source="asked_in.token", help_text="The state that it began from.")
    snapshot_id = serializers.SerializerMethodField(help_text="What it was answered from.")

    def get_conversation(self, turn: Any) -> str:
        return public_id(CONVERSATION_PREFIX, turn.conversation_id)

    def get_snapshot_id(self, turn: Any) -> str | None:
        return f"{_SNAPSHOT_PREFIX}{turn.snapshot_id}" if turn.snapshot_id else None


class ItemRecordSerializer(ItemSerializer):
    """One item with everything that is known of it; `request` and `answer` are null once their time of keeping is over."""

    request = serializers.SerializerMethodField(help_text="The request's body as it was submitted.")
    answer = serializers.SerializerMethodField(help_text="The provider's answer as it came; a text if it was no JSON.")
    runs = serializers.SerializerMethodField(help_text="Every attempt, oldest first, each with its requests to providers.")
    charges = serializers.SerializerMethodField()
    effects = serializers.SerializerMethodField(help_text="What tools of the platform did for it, in the order that they were asked for.")

    turn = serializers.SerializerMethodField(help_text="The turn of a conversation that it asks, and in which state. Null: it asks none.")

    class Meta(ItemSerializer.Meta):
        fields = [*ItemSerializer.Meta.fields, "request", "answer", "runs", "charges", "effects", "turn"]
        read_only_fields = fields

    @extend_schema_field({"nullable": True})
    def get_request(self, item: Item) -> Any:  # noqa: ARG002 -- the framework's signature
        return _readable(self._record.request)

    @extend_schema_field({"nullable": True})
    def get_answer(self, item: Item) -> Any:  # noqa: ARG002 -- the framework's signature
        return _readable(self._record.answer)

    @extend_schema_field(RunSerializer(many=True))
    def get_runs(self, item: Item) -> Any:  # noqa: ARG002 -- the framework's signature
        return RunSerializer(self._record.runs, many=True, context=self.context).data

    @extend_schema_field(ChargeSerializer(many=True))
    def get_charges(self, item: Item) -> Any:  # noqa: ARG002 -- the framework's signature
        return ChargeSerializer(self._record.charges, many=True).data

    @extend_schema_field(EffectSerializer(many=True))
    def get_effects(self, item: Item) -> Any:  # noqa: ARG002 -- the framework's signature
        return EffectSerializer(self._record.effects, many=True).data

    @extend_schema_field(AskedInSerializer(allow_null=True))
    def get_turn(self, item: Item) -> Any:  # noqa: ARG002 -- the framework's signature
        return AskedInSerializer(self._record.turn).data if self._record.turn else None

    @property
    def _record(self) -> ItemRecord:
        record: ItemRecord = self.context["record"]
        return record


def _readable(body: bytes | None) -> Any:
    if body is None:
        return None
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode(errors="replace")
