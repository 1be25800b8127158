"""Groups of dead items, and what can be asked for them."""

from typing import Any

from rest_framework import serializers

from apps.jobs.domain.dead_items import MOST_ITEM_IDS
from apps.jobs.models import ITEM_PREFIX
from apps.jobs.queries import DeadGroup
from apps.lib.ids import public_id
from apps.lib.sum_field import SumField


class DeadGroupSerializer(serializers.Serializer[DeadGroup]):
    """Items that died of the same; `newest_item_id` is one to look into."""

    fingerprint = serializers.CharField()
    outcome = serializers.CharField(help_text="The class of what happened: rejected, failed_upstream, ambiguous, lost, ...")
    code = serializers.CharField()
    prompt_version = serializers.CharField(help_text="Of the prompt that they were made from; empty: none was named.")
    message = serializers.CharField(help_text="Of the newest.")
    items = serializers.IntegerField()
    jobs = serializers.IntegerField()
    first_at = serializers.DateTimeField(allow_null=True)
    last_at = serializers.DateTimeField(allow_null=True)
    cost_usd = SumField(help_text="What they were charged before they died.")
    newest_item_id = serializers.SerializerMethodField()

    def get_newest_item_id(self, group: DeadGroup) -> str:
        return public_id(ITEM_PREFIX, group.newest_id)


class DeadGroupsSerializer(serializers.Serializer[Any]):
    """What waits for a person."""

    data = DeadGroupSerializer(many=True)  # type: ignore[assignment]  # the API's name hides an attribute that only input uses


class _SelectionSerializer(serializers.Serializer[Any]):
    """Which items are meant: all that is set must hold, and one must be."""

    fingerprint = serializers.RegexField("^[0-9a-f]{16}$", required=False, allow_null=True)
    job_id = serializers.RegexField("^batch_[0-9a-f]{32}$", required=False, allow_null=True)
    item_ids = serializers.ListField(
        child=serializers.RegexField("^item_[0-9a-f]{32}$"), max_length=MOST_ITEM_IDS, required=False, allow_null=True
    )
    reason = serializers.CharField(max_length=500, required=False, allow_null=True, help_text="Stands in the audit log.")


class RequeueSerializer(_SelectionSerializer):
    """Without `model` and `max_tokens` the items run as they were."""

    model = serializers.CharField(max_length=200, required=False, allow_null=True, help_text="Another model for them.")
    max_tokens = serializers.IntegerField(
        min_value=1, max_value=10_000_000, required=False, allow_null=True, help_text="Another limit of output tokens."
    )
    per_minute = serializers.IntegerField(
        min_value=1, max_value=1_000_000, required=False, allow_null=True, help_text="How fast they come back; 6,000."
    )
    dry_run = serializers.BooleanField(required=False, help_text="Only count and estimate.")


class DiscardSerializer(_SelectionSerializer):
    """`reason` is needed."""

    reason = serializers.CharField(min_length=1, max_length=500, help_text="Stands in the audit log.")


class RequeueEstimateSerializer(serializers.Serializer[Any]):
    """What they may come to, from the least to the most that their jobs' policies allow; retries left out. Costs: null without a price."""

    least_calls = serializers.IntegerField(help_text="0 where answers may come from the cache.")
    most_calls = serializers.IntegerField(help_text="With a first model and a repair for each, where there are any.")
    input_tokens = serializers.IntegerField(help_text="Each request asked once.")
    least_cost_usd = SumField(allow_null=True)
    most_cost_usd = SumField(allow_null=True)


class RequeuedSerializer(serializers.Serializer[Any]):
    """What waits again, or in a dry run would."""

    items = serializers.IntegerField()
    jobs = serializers.IntegerField()
    left = serializers.IntegerField(help_text="Beyond 20,000: ask again.")
    impossible = serializers.IntegerField(
        help_text="Of jobs that are over, of single calls (but for turns of conversations in which nothing was said since), or vectors that"
        " no document waits for: these can only be discarded."
    )
    estimate = RequeueEstimateSerializer(allow_null=True, help_text="In a dry run.")


class DiscardedSerializer(serializers.Serializer[Any]):
    """How many were discarded."""

    items = serializers.IntegerField()
