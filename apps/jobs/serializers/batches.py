"""The OpenAI API's Batch object."""

from datetime import datetime
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apps.jobs.domain.intake import ENDPOINTS, FEATURE_LENGTH
from apps.jobs.domain.lifecycle import JobStatus, Lane
from apps.jobs.domain.prompt_version import PROMPT_VERSION_LENGTH
from apps.jobs.domain.submission import (
    COMPLETION_WINDOW,
    LEAST_EXPIRY_SECONDS,
    MOST_EXPIRY_SECONDS,
    ON_BUDGET,
    PAIRS,
    USD,
    VALUE_LENGTH,
)
from apps.jobs.models import Job
from apps.lib.ids import public_id

_FILE_PREFIX = "file-"
# The OpenAI API has other words for some states, and none for a pause.
_STATUS_WORDS = {JobStatus.RUNNING: "in_progress", JobStatus.PAUSED: "in_progress", JobStatus.FINISHING: "finalizing"}
_WORDS = ("validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled")


# As the headers of single calls, which have the same names with X- before them.
_POLICY = {
    "cache": "Give the answers that the same requests got before: `on`, `off`, or for so many seconds.",
    "output_contract": "Check each answer against its request's `response_format`: `on` or `off`.",
    "first_model": "A cheaper model that is asked first.",
    "accept_if": "When its answer is taken: `schema`, `not_refused`, `field>=0.8`, with commas between them.",
    "failover": "Whether other targets are asked when the first one fails: `on` or `off`.",
}


@extend_schema_field(
    {
        "type": "object",
        "nullable": True,
        "maxProperties": PAIRS,
        "properties": {
            "priority": {"type": "string", "enum": [lane.value for lane in Lane], "description": "Which lane its items wait in."},
            "feature": {"type": "string", "maxLength": FEATURE_LENGTH, "description": "What it is for; costs are shown by it."},
            "prompt_version": {
                "type": "string",
                "maxLength": PROMPT_VERSION_LENGTH,
                "description": "Which version of a prompt its lines were made from; a line's own `metadata` wins.",
            },
            "max_cost_usd": {"type": "string", "pattern": f"^(?=.*[1-9]){USD}$", "description": "The most that it may cost, above 0."},
            "on_budget": {"type": "string", "enum": list(ON_BUDGET), "description": "What happens once no money is left."},
            **{name: {"type": "string", "description": text} for name, text in _POLICY.items()},
            "reuse": {
                "type": "string",
                "description": "An earlier batch: lines that ask the very same get its answers, and are neither asked nor charged.",
            },
        },
        "additionalProperties": {"type": "string", "maxLength": VALUE_LENGTH},
    }
)
class _MetadataField(serializers.DictField):
    """Up to 16 pairs of texts, of which the platform understands some."""


class OutputExpirySerializer(serializers.Serializer[Any]):
    """How long the files with the results are kept."""

    anchor = serializers.ChoiceField(choices=["created_at"])
    seconds = serializers.IntegerField(min_value=LEAST_EXPIRY_SECONDS, max_value=MOST_EXPIRY_SECONDS)


class BatchRequestSerializer(serializers.Serializer[Any]):
    """A batch to run."""

    # For the schema alone: domain/submission.py judges.
    input_file_id = serializers.CharField(min_length=1, help_text="A file that was uploaded with the purpose `batch`.")
    endpoint = serializers.ChoiceField(choices=ENDPOINTS)
    completion_window = serializers.ChoiceField(choices=[COMPLETION_WINDOW])
    metadata = _MetadataField(required=False, allow_null=True)
    output_expires_after = OutputExpirySerializer(required=False, allow_null=True)


class BatchCountsSerializer(serializers.Serializer[Any]):
    total = serializers.IntegerField()
    completed = serializers.IntegerField()
    failed = serializers.IntegerField()


class BatchSerializer(serializers.Serializer[Job]):
    """The Batch object: every key always, with null for what is not (yet) so; times in whole Unix seconds."""

    id = serializers.CharField()
    object = serializers.ChoiceField(choices=["batch"])
    endpoint = serializers.CharField()
    model = serializers.CharField(allow_null=True)
    errors = serializers.DictField(allow_null=True)  # type: ignore[assignment]  # the API's name hides an attribute that only input uses
    input_file_id = serializers.CharField()
    completion_window = serializers.CharField()
    status = serializers.ChoiceField(choices=_WORDS)
    output_file_id = serializers.CharField(allow_null=True)
    error_file_id = serializers.CharField(allow_null=True)
    created_at = serializers.IntegerField()
    in_progress_at = serializers.IntegerField(allow_null=True)
    expires_at = serializers.IntegerField(allow_null=True)
    finalizing_at = serializers.IntegerField(allow_null=True)
    completed_at = serializers.IntegerField(allow_null=True)
    failed_at = serializers.IntegerField(allow_null=True)
    expired_at = serializers.IntegerField(allow_null=True)
    cancelling_at = serializers.IntegerField(allow_null=True)
    cancelled_at = serializers.IntegerField(allow_null=True)
    request_counts = BatchCountsSerializer()
    usage = serializers.DictField()
    metadata = serializers.DictField(allow_null=True)

    def to_representation(self, instance: Job) -> dict[str, Any]:
        # A rerun of what had failed is the native API's matter: here a completed batch stays so.
        status = JobStatus.COMPLETED if instance.completed_at else JobStatus(instance.status)
        return {
            "id": instance.public_id,
            "object": "batch",
            "endpoint": instance.endpoint,
            "model": instance.model_name or None,
            "errors": {"object": "list", "data": instance.errors} if instance.errors else None,
            "input_file_id": _file_id(instance.input_file_id),
            "completion_window": COMPLETION_WINDOW,
            "status": _STATUS_WORDS.get(status, status.value),
            "output_file_id": _file_id(instance.output_file_id),
            "error_file_id": _file_id(instance.error_file_id),
            **_times(instance),
            "request_counts": {"total": instance.total, "completed": instance.done, "failed": instance.dead},
            "usage": _usage(instance),
            "metadata": instance.metadata,
        }


class BatchListSerializer(serializers.Serializer[Any]):
    """A page of batches."""

    object = serializers.ChoiceField(choices=["list"])
    data = BatchSerializer(many=True)  # type: ignore[assignment]  # the API's name; for the schema alone, never filled
    first_id = serializers.CharField(allow_null=True)
    last_id = serializers.CharField(allow_null=True)
    has_more = serializers.BooleanField()


def _times(job: Job) -> dict[str, int | None]:
    def ended(status: JobStatus) -> int | None:
        return _seconds(job.ended_at) if job.status == status and not job.completed_at else None

    # What a rerun does later is no part of the batch.
    finalizing_at, cancelling_at = job.finishing_at, job.cancelling_at
    if job.completed_at:
        finalizing_at = min(finalizing_at or job.completed_at, job.completed_at)
        cancelling_at = None
    return {
        "created_at": _seconds(job.created_at),
        "in_progress_at": _seconds(job.started_at),
        "expires_at": _seconds(job.expires_at),
        "finalizing_at": _seconds(finalizing_at),
        "completed_at": _seconds(job.completed_at) or ended(JobStatus.COMPLETED),
        "failed_at": ended(JobStatus.FAILED),
        "expired_at": ended(JobStatus.EXPIRED),
        "cancelling_at": _seconds(cancelling_at),
        "cancelled_at": ended(JobStatus.CANCELLED),
    }


def _usage(job: Job) -> dict[str, Any]:
    return {
        "input_tokens": job.input_tokens,
        "input_tokens_details": {"cached_tokens": job.cached_input_tokens},
        "output_tokens": job.output_tokens,
        "output_tokens_details": {"reasoning_tokens": job.reasoning_tokens},
        "total_tokens": job.input_tokens + job.output_tokens,
    }


def _file_id(key: UUID | None) -> str | None:
    return public_id(_FILE_PREFIX, key) if key else None


def _seconds(moment: datetime | None) -> int | None:
    return int(moment.timestamp()) if moment else None
