"""API keys at the HTTP edge."""

from datetime import datetime
from typing import Any

from rest_framework import serializers

from apps.accounts.domain.keys import KEY_PREFIX, Scope
from apps.accounts.models import ApiKey
from apps.lib.clock import current_time
from apps.lib.ids import public_id
from apps.lib.strict_fields import TextField, WhyField


class ApiKeySerializer(serializers.ModelSerializer[ApiKey]):
    """A key as it may be shown: `prefix` is how its secret begins."""

    id = serializers.SerializerMethodField()
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=[scope.value for scope in Scope]))

    class Meta:
        model = ApiKey
        fields = ["id", "name", "prefix", "scopes", "created_at", "expires_at", "last_used_at", "revoked_at"]
        read_only_fields = fields

    def get_id(self, key: ApiKey) -> str:
        return public_id(KEY_PREFIX, key.id)


class NewApiKeySerializer(ApiKeySerializer):
    """The answer to its making: the only time that `secret` is told."""

    secret = serializers.SerializerMethodField()

    class Meta(ApiKeySerializer.Meta):
        fields = [*ApiKeySerializer.Meta.fields, "secret"]
        read_only_fields = fields

    def get_secret(self, key: ApiKey) -> str:  # noqa: ARG002 -- the framework's signature
        secret: str = self.context["secret"]
        return secret


class ApiKeyRequestSerializer(serializers.Serializer[Any]):
    """What a new key is to be."""

    name = TextField(max_length=100, help_text="What it is for, so that you know what breaks when you revoke it.")
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=[scope.value for scope in Scope]),
        allow_empty=False,
        help_text="What it may be used for; none that the calling key lacks.",
    )
    expires_at = serializers.DateTimeField(required=False, allow_null=True, help_text="In the future. Left out or null: never.")
    reason = WhyField()

    def validate_expires_at(self, value: datetime | None) -> datetime | None:
        if value is not None and value <= current_time():
            raise serializers.ValidationError("The key would have expired already.")
        return value


class RevocationSerializer(serializers.Serializer[Any]):
    """Why, if you like."""

    reason = WhyField()
