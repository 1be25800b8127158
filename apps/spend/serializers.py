"""Budgets at the HTTP edge."""

from typing import Any

from rest_framework import serializers

from apps.lib.strict_fields import DollarsField, TextField, TruthField, WhyField
from apps.spend.domain.budgets import PERIODS, PeriodKind, ScopeKind

_SCOPES = [kind.value for kind in ScopeKind if kind != ScopeKind.PLATFORM]
_PERIODS = [kind.value for kind in PERIODS]


class BudgetSerializer(serializers.Serializer[Any]):
    """A budget with its present period. Amounts are US dollars; `room_usd` is what may still be reserved, `cap_usd` without top-ups."""

    id = serializers.CharField()
    scope = serializers.ChoiceField(choices=_SCOPES)
    name = serializers.CharField(help_text="Whom it bounds: a workspace's, user's or feature's name, a key's or a batch's id.")
    period = serializers.ChoiceField(
        choices=[kind.value for kind in PeriodKind],
        help_text="pause: what ran away is stopped until somebody sets active to false; it has no cap.",
    )
    cap_usd = serializers.CharField()
    hard = serializers.BooleanField(help_text="false: it counts and warns alone.")
    active = serializers.BooleanField()
    topped_up_usd = serializers.CharField()
    reserved_usd = serializers.CharField()
    spent_usd = serializers.CharField()
    room_usd = serializers.CharField()
    period_starts_at = serializers.DateTimeField()
    period_ends_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    paused_at = serializers.DateTimeField(allow_null=True, help_text="Of a pause: when it began.")
    lifted_at = serializers.DateTimeField(allow_null=True, help_text="Of a pause: when it was lifted last.")


class NewBudgetSerializer(serializers.Serializer[Any]):
    """What is to be bounded. There is one budget for each owner and period: asked for again, it is changed."""

    scope = serializers.ChoiceField(choices=_SCOPES)
    name = TextField(
        max_length=255,
        required=False,
        help_text="The end user or the feature; the id of the key (`key_...`) or of the batch (`batch_...`). Not for a workspace.",
    )
    period = serializers.ChoiceField(choices=_PERIODS)
    cap_usd = DollarsField()
    hard = TruthField(default=True)
    reason = WhyField()


class BudgetChangeSerializer(serializers.Serializer[Any]):
    """What is to be different; what is left out stays. It holds for the next call."""

    cap_usd = DollarsField(required=False)
    hard = TruthField(source="is_hard", required=False)
    active = TruthField(source="is_active", required=False)
    reason = WhyField()


class TopUpSerializer(serializers.Serializer[Any]):
    """How much more may be spent within the present period."""

    amount_usd = DollarsField()
    reason = WhyField()
