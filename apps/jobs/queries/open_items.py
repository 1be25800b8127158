"""Which items are under way."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from apps.jobs.domain.lifecycle import ItemState
from apps.jobs.models import Item


def find_open_items(item_ids: Collection[UUID], *, ended_after: datetime) -> set[UUID]:
    """Those of them that wait or run, or ended later than that."""
    is_open = Q(state__in=[ItemState.WAITING, ItemState.RUNNING]) | Q(ended_at__gt=ended_after)
    return set(Item.objects.filter(is_open, id__in=item_ids).values_list("id", flat=True))
