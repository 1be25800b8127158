"""The native job, in the platform's own words: where it stands, how fast it goes, what it has cost."""

from datetime import datetime
from typing import Any
from uuid import UUID

from rest_framework import serializers

from apps.jobs.domain.lifecycle import Lane
from apps.jobs.domain.progress import Progress
from apps.jobs.models import BATCH_PREFIX, RECIPE_PREFIX, Job
from apps.lib.clock import current_time
from apps.lib.ids import public_id
from apps.lib.strict_fields import WhyField

_FILE_PREFIX = "file-"
_COLLECTION_PREFIX = "col_"


class RefusedLineSerializer(serializers.Serializer[Any]):
    """Why validation refused a line of the input file."""

    code = serializers.CharField()
    message = serializers.CharField()
    param = serializers.CharField(allow_null=True)
    line = serializers.IntegerField(allow_null=True)


class JobSerializer(serializers.ModelSerializer[Job]):
    """A job as it stands; `items_per_second` is the mean since its start, `remaining_seconds` what is left at that rate."""

    id = serializers.CharField(source="public_id")
    model = serializers.SerializerMethodField(help_text="What all its lines ask for; null: several, or not known yet.")
    input_file_id = serializers.SerializerMethodField()
    output_file_id = serializers.SerializerMethodField()
    error_file_id = serializers.SerializerMethodField()
    errors = RefusedLineSerializer(many=True, allow_null=True)  # type: ignore[assignment]  # the API's name hides an attribute that only input uses
    metadata = serializers.DictField(child=serializers.CharField(), allow_null=True)
    open = serializers.SerializerMethodField(help_text="Items that have not ended.")
    items_per_second = serializers.SerializerMethodField()
    remaining_seconds = serializers.SerializerMethodField()
    policy = serializers.DictField(allow_null=True, help_text="How answers are come by, as the metadata asked; null: plainly.")
    held_by = serializers.SerializerMethodField(help_text="The budget that has no room for it: nothing of it is sent meanwhile; else null.")
    held_until = serializers.SerializerMethodField(help_text="When that budget is fresh again; null: not held, or until it is raised.")
    recipe = serializers.SerializerMethodField(help_text="The id of what is done with documents; null for jobs of other kinds.")
    collection_id = serializers.SerializerMethodField(help_text="Where its documents are.")
    reuses = serializers.SerializerMethodField(help_text="The earlier job whose answers it takes over where the same is asked; else null.")
    first_accepted_share = serializers.SerializerMethodField(help_text="Of the items for which the first model was asked; null: none.")

    class Meta:
        model = Job
        fields = [
            "id", "kind", "status", "revision", "lane", "endpoint", "model", "feature", "metadata", "max_cost_usd", "on_budget",
            "recipe", "collection_id", "document_count", "held_by", "held_until",
            "input_file_id", "output_file_id", "error_file_id", "errors",
            "total", "done", "dead", "open", "items_per_second", "remaining_seconds",
            "input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens", "cost_usd",
            "policy", "cache_hits", "cache_saved_usd", "first_asked", "first_accepted", "first_accepted_share", "first_saved_usd",
            "repaired", "reuses", "reused",
            "created_at", "expires_at", "started_at", "paused_at", "cancelling_at", "finishing_at", "completed_at", "ended_at",
        ]  # fmt: skip
        read_only_fields = fields

    def get_model(self, job: Job) -> str | None:
        return job.model_name or None

    def get_held_by(self, job: Job) -> str | None:
        return public_id("budget_", job.held_by_id) if job.held_by_id and job.is_held(current_time()) else None

    def get_held_until(self, job: Job) -> datetime | None:
        return job.held_until if job.is_held(current_time()) else None

    def get_input_file_id(self, job: Job) -> str | None:
        return _file_id(job.input_file_id)

    def get_output_file_id(self, job: Job) -> str | None:
        return _file_id(job.output_file_id)

    def get_error_file_id(self, job: Job) -> str | None:
        return _file_id(job.error_file_id)

    def get_open(self, job: Job) -> int:
        return 0 if job.ended_at else _progress(job).waiting

    def get_recipe(self, job: Job) -> str | None:
        return public_id(RECIPE_PREFIX, job.recipe_id) if job.recipe_id else None

    def get_collection_id(self, job: Job) -> str | None:
        return public_id(_COLLECTION_PREFIX, job.collection_id) if job.collection_id else None

    def get_reuses(self, job: Job) -> str | None:
        return public_id(BATCH_PREFIX, job.reuses_job_id) if job.reuses_job_id else None

    def get_first_accepted_share(self, job: Job) -> float | None:
        return round(job.first_accepted / job.first_asked, 4) if job.first_asked else None

    def get_items_per_second(self, job: Job) -> float:
        return round(_progress(job).items_per_second(current_time()), 3)

    def get_remaining_seconds(self, job: Job) -> float | None:
        remaining = _progress(job).remaining(current_time())
        return remaining.total_seconds() if remaining is not None else None


class RerunSerializer(serializers.Serializer[Any]):
    """Why, if you like."""

    reason = WhyField()


class LaneSerializer(serializers.Serializer[Any]):
    """Where a job is to go on."""

    lane = serializers.ChoiceField(choices=[lane.value for lane in Lane])


def _progress(job: Job) -> Progress:
    return Progress(total=job.total, done=job.done, dead=job.dead, started_at=job.started_at, ended_at=job.ended_at)


def _file_id(key: UUID | None) -> str | None:
    return public_id(_FILE_PREFIX, key) if key else None
