"""Spend at the HTTP edge. Amounts are US dollars, written as texts so that no cent is lost on the way."""

from decimal import Decimal
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.jobs.domain.lifecycle import Lane
from apps.lib.strict_fields import TextField
from apps.ops.domain.asked_spending import DIMENSIONS, NONE, NamedPeriod
from apps.spend.domain.spending import Step

_MOMENT = {"type": "string", "format": "date-time"}
_DOLLARS = {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}
_WITHOUT = f'`{NONE}`: what has none. What is called so: `"{NONE}"`, with the quotes.'


@extend_schema_field(_MOMENT)
class MomentField(TextField):
    """A day, or a moment; read by the question, which knows the workspace's time zone."""


@extend_schema_field(_DOLLARS)
class AmountField(serializers.Field[Decimal, Any, str, Any]):
    """Dollars, without zeros that say nothing."""

    def to_representation(self, value: Decimal) -> str:
        return f"{value.normalize():f}"


class SpendQuerySerializer(serializers.Serializer[Any]):
    """Which spend is meant: of which time, and of whom. All filters must hold."""

    period = serializers.ChoiceField(
        choices=[period.value for period in NamedPeriod], required=False, help_text="In place of `since`. Without either: this month."
    )
    since = MomentField(
        trim_whitespace=False,
        max_length=40,
        required=False,
        help_text="A moment, or a day like `2026-11-01`, which begins where the workspace's clocks say so.",
    )
    until = MomentField(
        trim_whitespace=False, max_length=40, required=False, help_text="Up to just before it. Without it: to the end of today."
    )
    api_key = TextField(trim_whitespace=False, max_length=100, required=False, help_text=f"The id of a key (`key_...`). {_WITHOUT}")
    end_user = TextField(trim_whitespace=False, max_length=255, required=False, help_text=_WITHOUT)
    feature = TextField(trim_whitespace=False, max_length=64, required=False, help_text=_WITHOUT)
    job = TextField(
        trim_whitespace=False, max_length=100, required=False, help_text="The id of a job (`batch_...`). Not together with `end_user`."
    )
    lane = serializers.ChoiceField(choices=[lane.value for lane in Lane], required=False)
    model = TextField(trim_whitespace=False, max_length=200, required=False, help_text="What callers ask for, by its name.")
    provider = TextField(trim_whitespace=False, max_length=200, required=False, help_text="By its name.")
    upstream_model = TextField(trim_whitespace=False, max_length=200, required=False, help_text="The provider's own name for the model.")
    prompt_version = TextField(trim_whitespace=False, max_length=64, required=False, help_text=f"Of the prompt. {_WITHOUT}")


class PartsQuerySerializer(SpendQuerySerializer):
    """And what it is to be told apart by."""

    by = serializers.ChoiceField(choices=[dimension.value for dimension in DIMENSIONS])


class PartsPageQuerySerializer(PartsQuerySerializer):
    """And which page of it."""

    limit = serializers.IntegerField(min_value=1, max_value=100, default=20, help_text="How many at most.")
    cursor = TextField(trim_whitespace=False, required=False, help_text="`next_cursor` of the page before, as it came.")


class CourseQuerySerializer(SpendQuerySerializer):
    """And how far the points are to lie apart."""

    step = serializers.ChoiceField(choices=[step.value for step in Step], default=Step.DAY.value)


class MoversQuerySerializer(PartsQuerySerializer):
    """And how many of them."""

    limit = serializers.IntegerField(min_value=1, max_value=100, default=10)


class SumsSerializer(serializers.Serializer[Any]):
    """What was called for and what it cost."""

    calls = serializers.IntegerField(help_text="Answers that were paid for. What the cache answered is none.")
    items = serializers.IntegerField(help_text="Items of which the first such call falls into this time.")
    input_tokens = serializers.IntegerField(help_text="All of them: also cached ones.")
    cached_input_tokens = serializers.IntegerField()
    output_tokens = serializers.IntegerField(help_text="All of them: also reasoning.")
    reasoning_tokens = serializers.IntegerField()
    cost_usd = AmountField()
    retries = serializers.IntegerField(help_text="Of the calls, those after an item's first: repairs, and what a cascade asked next.")
    retry_usd = AmountField(help_text="Their part of the cost.")
    cache_saved_usd = AmountField(help_text="What kept and shared answers had cost.")
    cascade_saved_usd = AmountField(help_text="What first models saved, less what their refused answers cost; may be below nothing.")
    wasted = serializers.SerializerMethodField(
        help_text="Calls that were perhaps billed and brought nothing. The operator's, beside the cost: null without the scope `platform`."
    )
    waste_usd = serializers.SerializerMethodField(help_text="The most that these may have cost; null without the scope `platform`.")

    @extend_schema_field({"type": "integer", "nullable": True})
    def get_wasted(self, sums: Any) -> int | None:
        return sums.wasted if self.context.get("is_operator") else None

    @extend_schema_field(_DOLLARS | {"nullable": True})
    def get_waste_usd(self, sums: Any) -> str | None:
        return AmountField().to_representation(sums.waste_usd) if self.context.get("is_operator") else None


class TodaySerializer(serializers.Serializer[Any]):
    """All of the workspace's spend today, whatever the filters, beside the same weekday a week ago."""

    cost_usd = AmountField(source="today_usd")
    last_week_until_now_usd = AmountField(help_text="On that day until this time.")
    last_week_usd = AmountField(help_text="On that whole day.")


class MonthSerializer(serializers.Serializer[Any]):
    """All of the workspace's spend this month, whatever the filters."""

    began_at = serializers.DateTimeField(source="month_began_at")
    ends_at = serializers.DateTimeField(source="month_ends_at")
    cost_usd = AmountField(source="month_usd")
    forecast_usd = AmountField(help_text="With as much for each day that is left as on such weekdays of the last four weeks.")


class _Told(serializers.Serializer[Any]):
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    time_zone = serializers.CharField(help_text="The workspace's: where days and months begin.")
    complete = serializers.BooleanField(help_text="false: after an upgrade, while older charges are still being summed up.")


class SpendSerializer(_Told):
    """What was spent in a stretch of time; today; and this month."""

    total = SumsSerializer()
    today = TodaySerializer()
    month = MonthSerializer()


class SpendPartSerializer(serializers.Serializer[Any]):
    """The part of the spend that belongs to one value."""

    value = serializers.CharField(allow_null=True, help_text="As a filter takes it. Null: what has none.")
    name = serializers.CharField(allow_null=True, help_text="What people call it; null where that is the value itself, or not known.")
    sums = SumsSerializer()


class PartsSerializer(_Told):
    """The dearest first."""

    data = SpendPartSerializer(many=True)  # type: ignore[assignment]  # a field, which the metaclass takes out
    next_cursor = serializers.CharField(allow_null=True, help_text="Send it as `cursor` for the next page; null: this was the last.")


class PointSerializer(serializers.Serializer[Any]):
    """One hour or day, by when it begins."""

    at = serializers.DateTimeField()
    sums = SumsSerializer()


class CourseSerializer(_Told):
    """Every hour or day in turn, also those without any spend."""

    step = serializers.ChoiceField(choices=[step.value for step in Step])
    data = PointSerializer(many=True)  # type: ignore[assignment]  # a field, which the metaclass takes out


class MoveSerializer(serializers.Serializer[Any]):
    """A value's spend in the stretch of time, and in as much time before it."""

    value = serializers.CharField(allow_null=True)
    name = serializers.CharField(allow_null=True)
    before_usd = AmountField()
    now_usd = AmountField()
    change_usd = AmountField()


class MoversSerializer(_Told):
    """What changed most first."""

    before_since = serializers.DateTimeField(help_text="When the time before begins; it ends where this one begins.")
    data = MoveSerializer(many=True)  # type: ignore[assignment]  # a field, which the metaclass takes out
