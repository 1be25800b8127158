"""Work at the HTTP edge: OpenAI's Batch object, and the native job, item, attempt and charge."""

from apps.jobs.serializers.batches import BatchListSerializer, BatchRequestSerializer, BatchSerializer
from apps.jobs.serializers.dead_items import (
    DeadGroupsSerializer,
    DiscardedSerializer,
    DiscardSerializer,
    RequeuedSerializer,
    RequeueSerializer,
)
from apps.jobs.serializers.items import ItemRecordSerializer, ItemSerializer
from apps.jobs.serializers.jobs import JobSerializer, LaneSerializer, RerunSerializer
from apps.jobs.serializers.search import SearchRequestSerializer, SnapshotSerializer

__all__ = [
    "BatchListSerializer",
    "BatchRequestSerializer",
    "BatchSerializer",
    "DeadGroupsSerializer",
    "DiscardSerializer",
    "DiscardedSerializer",
    "ItemRecordSerializer",
    "ItemSerializer",
    "JobSerializer",
    "LaneSerializer",
    "RequeueSerializer",
    "RequeuedSerializer",
    "RerunSerializer",
    "SearchRequestSerializer",
    "SnapshotSerializer",
]
