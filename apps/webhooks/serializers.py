"""Endpoints and deliveries at the HTTP edge."""

from typing import Any

from rest_framework import serializers

from apps.lib.ids import public_id
from apps.lib.strict_fields import TextField, TruthField
from apps.webhooks.domain.events import EventType
from apps.webhooks.models import EVENT_PREFIX, Alert, Attempt, Delivery, Endpoint

_EVENTS = [event.value for event in EventType]


class EndpointSerializer(serializers.ModelSerializer[Endpoint]):
    """An endpoint as it may be shown; `failing_since` is empty while it takes what it is sent."""

    id = serializers.CharField(source="public_id", read_only=True)
    events = serializers.ListField(child=serializers.ChoiceField(choices=_EVENTS))
    enabled = serializers.BooleanField(source="is_enabled")

    class Meta:
        model = Endpoint
        fields = [
            *("id", "name", "url", "events", "enabled", "switched_off_because", "failing_since", "delivered_at"),
            *("previous_secret_until", "created_at", "updated_at"),
        ]
        read_only_fields = fields


class NewEndpointSerializer(EndpointSerializer):
    """The answer to its making and to a change of secret: the only times that `secret` is told."""

    secret = serializers.SerializerMethodField()

    class Meta(EndpointSerializer.Meta):
        fields = [*EndpointSerializer.Meta.fields, "secret"]
        read_only_fields = fields

    def get_secret(self, endpoint: Endpoint) -> str:  # noqa: ARG002 -- the framework's signature
        secret: str = self.context["secret"]
        return secret


class EndpointRequestSerializer(serializers.Serializer[Any]):
    """What a new endpoint is to be."""

    name = TextField(max_length=100, help_text="What receives the events.")
    url = TextField(max_length=2000, help_text="Where they are posted: https, and a host of the public internet.")
    events = serializers.ListField(
        child=serializers.ChoiceField(choices=_EVENTS),
        allow_empty=False,
        required=False,
        help_text="What it is told of. Left out: how batches end.",
    )


class EndpointChangeSerializer(serializers.Serializer[Any]):
    """What is to be different; what is left out stays."""

    name = TextField(max_length=100, required=False)
    url = TextField(max_length=2000, required=False)
    events = serializers.ListField(child=serializers.ChoiceField(choices=_EVENTS), allow_empty=False, required=False)
    enabled = TruthField(
        source="is_enabled", required=False, help_text="false: nothing is sent, and what waits is given up. true: failures are forgotten."
    )


class AttemptSerializer(serializers.ModelSerializer[Attempt]):
    """One POST: a status, or an error when there was none, and how the answer began."""

    class Meta:
        model = Attempt
        fields = ["number", "sent_at", "duration_seconds", "status", "error", "answer"]
        read_only_fields = fields


class DeliverySerializer(serializers.ModelSerializer[Delivery]):
    """One event for one endpoint. `due_at` is when it is tried next, while it waits."""

    id = serializers.CharField(source="public_id", read_only=True)
    webhook_id = serializers.CharField(source="endpoint.public_id", read_only=True)
    event_id = serializers.SerializerMethodField()
    type = serializers.CharField(source="event.type", read_only=True)
    payload = serializers.CharField(source="event.payload", read_only=True, help_text="The body that is sent, byte for byte.")
    attempts = AttemptSerializer(many=True, read_only=True)

    class Meta:
        model = Delivery
        fields = ["id", "webhook_id", "event_id", "type", "state", "due_at", "created_at", "ended_at", "payload", "attempts"]
        read_only_fields = fields

    def get_event_id(self, delivery: Delivery) -> str:
        return public_id(EVENT_PREFIX, delivery.event_id)


class AlertSerializer(serializers.ModelSerializer[Alert]):
    """Something that a person should look at. `path` is the page of the back office; `count` is how often it was noticed while open."""

    id = serializers.CharField(source="public_id", read_only=True)
    state = serializers.ChoiceField(choices=["open", "acknowledged", "resolved"], read_only=True)
    data = serializers.DictField(read_only=True)  # type: ignore[assignment]  # the framework takes fields out of the class

    class Meta:
        model = Alert
        fields = [
            *("id", "kind", "severity", "state", "title", "text", "path", "data", "count", "first_seen_at", "last_seen_at"),
            *("acknowledged_at", "acknowledged_by", "resolved_at"),
        ]
        read_only_fields = fields
