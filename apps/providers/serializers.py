"""Models at the HTTP edge: OpenAI's Model object, and the native one with targets and prices."""

from typing import Any

from rest_framework import serializers

from apps.providers.domain.catalogue import CallableModel


class CallableSerializer(serializers.Serializer[CallableModel]):
    """OpenAI's Model object."""

    id = serializers.CharField(help_text="What to write in `model`.")
    object = serializers.ChoiceField(choices=["model"])
    created = serializers.IntegerField()
    owned_by = serializers.CharField()

    def to_representation(self, instance: CallableModel) -> dict[str, Any]:
        return {"id": instance.name, "object": "model", "created": int(instance.created_at.timestamp()), "owned_by": "aiplatform"}


class ModelListSerializer(serializers.Serializer[Any]):
    """OpenAI's list object."""

    object = serializers.ChoiceField(choices=["list"])
    data = CallableSerializer(many=True)  # type: ignore[assignment]  # the API's name hides an attribute that only input uses


class PriceSerializer(serializers.Serializer[Any]):
    """US dollars per million tokens, and per request. What isn't priced apart costs what its kind costs."""

    effective_from = serializers.DateTimeField()
    input_usd_per_million = serializers.DecimalField(max_digits=20, decimal_places=12)
    cached_input_usd_per_million = serializers.DecimalField(max_digits=20, decimal_places=12, allow_null=True)
    cache_write_usd_per_million = serializers.DecimalField(max_digits=20, decimal_places=12, allow_null=True)
    output_usd_per_million = serializers.DecimalField(max_digits=20, decimal_places=12)
    reasoning_usd_per_million = serializers.DecimalField(max_digits=20, decimal_places=12, allow_null=True)
    request_usd = serializers.DecimalField(max_digits=20, decimal_places=12)


class OfferedTargetSerializer(serializers.Serializer[Any]):
    """Who answers."""

    provider = serializers.CharField()
    upstream_model = serializers.CharField(help_text="The provider's own name for the model.")
    price = PriceSerializer(allow_null=True, help_text="Null: none is known, and answers cost nothing in the ledger.")


class OfferSerializer(serializers.Serializer[Any]):
    """A model that can be called; the first target is asked first."""

    name = serializers.CharField(help_text="What to write in `model`.")
    max_output_tokens = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    targets = OfferedTargetSerializer(many=True)
