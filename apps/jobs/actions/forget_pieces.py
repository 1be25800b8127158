"""Forget the pieces of a workspace's streamed answers, which would stay in Redis for an hour otherwise."""

from datetime import datetime, timedelta
from uuid import UUID

from apps.jobs.domain.chunk import stream_key
from apps.jobs.models import Item
from apps.lib.redis_client import redis_client

# Longer than a call may take and its pieces are kept, by far.
_BACK = timedelta(days=1)
_AT_ONCE = 1_000


def forget_pieces(*, workspace_id: UUID, now: datetime) -> int:
    """How many answers' pieces went. RedisError when they can't be reached: the rows, which name them, have to wait for that."""
    told = Item.objects.filter(job__workspace_id=workspace_id, job__kind="single").exclude(claimed_at__lt=now - _BACK).order_by("id")
    forgotten, after = 0, UUID(int=0)
    while page := list(told.filter(id__gt=after).values_list("id", flat=True)[:_AT_ONCE]):
        forgotten += int(redis_client().unlink(*map(stream_key, page)))
        after = page[-1]
    return forgotten
