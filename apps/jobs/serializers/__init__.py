"""Work at the HTTP edge: OpenAI's Batch object, and the native job, item, attempt and charge."""

from apps.jobs.serializers.batches import BatchListSerializer, BatchRequestSerializer, BatchSerializer
from apps.jobs.serializers.items import ItemRecordSerializer, ItemSerializer
from apps.jobs.serializers.jobs import JobSerializer, LaneSerializer

__all__ = [
    "BatchListSerializer",
    "BatchRequestSerializer",
    "BatchSerializer",
    "ItemRecordSerializer",
    "ItemSerializer",
    "JobSerializer",
    "LaneSerializer",
]
