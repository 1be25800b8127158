"""Mirror: the queue `dead_letter` holds a message for each dead item, so that Flower's broker page shows how many wait for a person.

Nobody consumes it; the rows are the truth. A worker that somebody starts on it runs the items again, one for each message.
"""

import hashlib
from typing import Any

from celery import current_app

from apps.jobs.domain.lifecycle import ItemState
from apps.jobs.models import ITEM_PREFIX, Item
from apps.lib.enqueue import enqueue
from apps.lib.ids import public_id
from apps.lib.redis_client import redis_client

QUEUE = "dead_letter"
_MOST = 1_000
_SEEN_KEY = "aiplatform:dead_letter"


def mirror_dead() -> int:
    """How many messages the queue holds now; it is filled anew when it differs from the table (the newest 1,000)."""
    dead = Item.objects.filter(state=ItemState.DEAD, discarded_at=None)
    ids = list(dead.order_by("-id").values_list("id", flat=True)[:_MOST])
    shown = hashlib.sha256(b"".join(item_id.bytes for item_id in ids)).hexdigest()
    with current_app.connection_for_write() as connection:
        channel: Any = connection.default_channel
        depth: int = channel.queue_declare(QUEUE, durable=True).message_count
        if depth == len(ids) and redis_client().get(_SEEN_KEY) == shown:
            return depth
        channel.queue_purge(QUEUE)
    for item_id in ids:
        enqueue("jobs.requeue_dead_item", queue=QUEUE, item_id=public_id(ITEM_PREFIX, item_id))
    redis_client().set(_SEEN_KEY, shown)
    return len(ids)
