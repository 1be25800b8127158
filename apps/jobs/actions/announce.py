"""Tell the web processes whose callers wait that their items have ended."""

from collections.abc import Sequence
from functools import partial

import redis
import structlog
from django.db import transaction

from apps.jobs.domain.retry import Decision
from apps.jobs.domain.settlement import Settlement
from apps.lib.redis_client import redis_client

log = structlog.get_logger(__name__)


def announce_ended(settled: Sequence[Settlement]) -> None:
    """After commit, publish each ended item's id on the channel of the web process that waits for it."""
    replies = [
        (settlement.finished.item.reply_to, settlement.finished.item.item_id.hex)
        for settlement in settled
        if settlement.finished.item.reply_to and settlement.decision in {Decision.DONE, Decision.DEAD}
    ]
    if replies:
        transaction.on_commit(partial(_publish, replies))


def _publish(replies: list[tuple[str, str]]) -> None:
    try:
        with redis_client().pipeline(transaction=False) as pipeline:
            for channel, item_id in replies:
                pipeline.publish(channel, item_id)
            pipeline.execute()
    except redis.RedisError as error:
        # The web processes look into Postgres once a second as well, so a lost word costs a second.
        log.warning("reply_not_published", replies=len(replies), error=str(error))
