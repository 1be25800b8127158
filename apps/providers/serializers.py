"""Models at the HTTP edge: OpenAI's Model object, and the native one with targets and prices. Providers and targets, as they stand."""

from typing import Any

from rest_framework import serializers

from apps.lib.strict_fields import WhyField
from apps.lib.sum_field import SumField
from apps.providers.domain.catalogue import CallableModel
from apps.providers.queries import Standing, Standings


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


class _BucketSerializer(serializers.Serializer[Any]):
    """What all workers share about it at this moment. Times are seconds from now, null where there is nothing to wait for."""

    in_flight = serializers.IntegerField(help_text="Calls in the air, of all workers.")
    pumps = serializers.IntegerField(help_text="Processes that send calls to it.")
    concurrency_limit = serializers.IntegerField(allow_null=True, help_text="The most calls in the air now; it adapts. Null: unbounded.")
    requests_left = serializers.IntegerField(allow_null=True, help_text="Requests that may begin at once. Null: no limit is known.")
    tokens_left = serializers.IntegerField(allow_null=True)
    input_tokens_left = serializers.IntegerField(allow_null=True)
    output_tokens_left = serializers.IntegerField(allow_null=True)
    told_requests_per_minute = serializers.IntegerField(
        allow_null=True, source="told_requests", help_text="What the provider says it allows."
    )
    told_tokens_per_minute = serializers.IntegerField(allow_null=True, source="told_tokens")
    told_input_tokens_per_minute = serializers.IntegerField(allow_null=True, source="told_input_tokens")
    told_output_tokens_per_minute = serializers.IntegerField(allow_null=True, source="told_output_tokens")
    throttled_seconds = serializers.FloatField(allow_null=True, source="blocked_seconds", help_text="All leave it alone for so long.")
    refused_seconds = serializers.FloatField(
        allow_null=True, source="paused_seconds", help_text="It refused our credential or the model's name; tried again after so long."
    )


class _TargetBucketSerializer(_BucketSerializer):
    """A target's has a breaker."""

    breaker = serializers.ChoiceField(choices=["closed", "open", "half-open", "slow start"])
    opens_in_seconds = serializers.FloatField(allow_null=True, help_text="How long an open breaker still lets nobody through.")
    slow_percent = serializers.IntegerField(allow_null=True, help_text="The share of calls let through in a slow start.")
    retry_budget = serializers.IntegerField(
        allow_null=True,
        help_text="Points of 500: asking the next target after a failure of this one takes 14, after a refusal 5. Null: all.",
    )


class UsageSerializer(serializers.Serializer[Any]):
    """What was charged since midnight UTC."""

    answers = serializers.IntegerField(source="calls")
    input_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField()
    cost_usd = SumField()


class OutcomesSerializer(serializers.Serializer[Any]):
    """What requests came to, by outcome class: `ok`, `throttled`, `failed_upstream`, `ambiguous`, `not_sent`, `credential`, `rejected`."""

    last_5_minutes = serializers.DictField(child=serializers.IntegerField())
    last_hour = serializers.DictField(child=serializers.IntegerField(), help_text="In steps of five minutes.")
    last_24_hours = serializers.DictField(child=serializers.IntegerField(), help_text="In full hours.")
    counted_since = serializers.DateTimeField(
        allow_null=True, help_text="Hour and day are counted since then, when that is less than a day. Null: for longer, or not at all."
    )


class LatencySerializer(serializers.Serializer[Any]):
    """Seconds that good answers of the last five minutes took; null without any."""

    p50 = serializers.FloatField(allow_null=True)
    p95 = serializers.FloatField(allow_null=True)
    p99 = serializers.FloatField(allow_null=True)


class TargetStandingSerializer(serializers.Serializer[Any]):
    """A provider's model that can answer for ours, as it stands."""

    id = serializers.CharField()
    model = serializers.CharField(help_text="What callers write in `model`.")
    upstream_model = serializers.CharField(help_text="The provider's own name for the model.")
    position = serializers.IntegerField(help_text="Failover order: 0 is asked first.")
    is_enabled = serializers.BooleanField()
    paused_at = serializers.DateTimeField(allow_null=True)
    paused_reason = serializers.CharField()
    requests_per_minute = serializers.IntegerField(allow_null=True)
    tokens_per_minute = serializers.IntegerField(allow_null=True, help_text="Input and output together.")
    input_tokens_per_minute = serializers.IntegerField(allow_null=True)
    output_tokens_per_minute = serializers.IntegerField(allow_null=True)
    bucket = _TargetBucketSerializer(allow_null=True, help_text="Null: Redis does not answer.")
    outcomes = OutcomesSerializer()
    latency_seconds = LatencySerializer()
    first_byte_seconds = LatencySerializer()
    usage_today = UsageSerializer()


class StandingSerializer(serializers.Serializer[Any]):
    """A provider, as it stands; of its key the last characters at most are shown."""

    id = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.CharField()
    base_url = serializers.CharField()
    key_ends_in = serializers.CharField(
        allow_null=True, help_text="The last four characters of its key. Null: it has none, one of fewer than 20, or one that doesn't open."
    )
    is_enabled = serializers.BooleanField()
    paused_at = serializers.DateTimeField(allow_null=True)
    paused_reason = serializers.CharField()
    requests_per_minute = serializers.IntegerField(allow_null=True)
    tokens_per_minute = serializers.IntegerField(allow_null=True, help_text="Input and output together.")
    input_tokens_per_minute = serializers.IntegerField(allow_null=True)
    output_tokens_per_minute = serializers.IntegerField(allow_null=True)
    max_concurrency = serializers.IntegerField(allow_null=True)
    bucket = _BucketSerializer(allow_null=True, help_text="Null: Redis does not answer.")
    usage_today = UsageSerializer()
    targets = TargetStandingSerializer(many=True)


_LIMITS = ("requests_per_minute", "tokens_per_minute", "input_tokens_per_minute", "output_tokens_per_minute")
_OF_PROVIDER = ("name", "kind", "base_url", "is_enabled", "paused_at", "paused_reason", *_LIMITS)
_OF_TARGET = ("upstream_model", "position", "is_enabled", "paused_at", "paused_reason", *_LIMITS)


def show_standings(standings: Standings) -> list[dict[str, Any]]:
    """As JSON has them."""
    shown = [
        {name: getattr(one.row, name) for name in (*_OF_PROVIDER, "max_concurrency")}
        | {
            "id": one.row.public_id,
            "key_ends_in": one.row.key_ending or None,
            "bucket": one.bucket if standings.is_told else None,
            "usage_today": one.usage,
            "targets": _targets(one, standings),
        }
        for one in standings.providers
    ]
    return list(StandingSerializer(shown, many=True).data)


def _targets(standing: Standing, standings: Standings) -> list[dict[str, Any]]:
    percentiles = ("p50", "p95", "p99")
    return [
        {name: getattr(one.row, name) for name in _OF_TARGET}
        | {
            "id": one.row.public_id,
            "model": one.row.model.name,
            "bucket": one.bucket if standings.is_told else None,
            "outcomes": {
                "last_5_minutes": one.calls.outcomes,
                "last_hour": one.outcomes.hour,
                "last_24_hours": one.outcomes.day,
                "counted_since": standings.counted_since,
            },
            "latency_seconds": {name: getattr(one.calls, f"{name}_seconds") for name in percentiles},
            "first_byte_seconds": {name: getattr(one.calls, f"first_byte_{name}_seconds") for name in percentiles},
            "usage_today": one.usage,
        }
        for one in standing.targets
    ]


class PauseSerializer(serializers.Serializer[Any]):
    """Why."""

    reason = WhyField(required=True, help_text="It stands on the page of providers and in the audit log.")


class ResumeSerializer(serializers.Serializer[Any]):
    """Why, if you like."""

    reason = WhyField()
