"""Read the pieces of a streamed answer that were told before, while they are kept."""

from typing import Any
from uuid import UUID

import redis
import redis.asyncio
import structlog

from apps.jobs.domain.chunk import Chunk, read_piece, stream_key

log = structlog.get_logger(__name__)


async def read_chunks(client: "redis.asyncio.Redis", item_id: UUID, *, after: str) -> list[Chunk]:
    """Those behind the id `after`, in order, without what others have put there; none when Redis doesn't answer."""
    try:
        entries: Any = await client.xrange(stream_key(item_id), min=f"({after}")
    except (redis.RedisError, OSError) as error:
        log.warning("chunks_not_read", item_id=str(item_id), error=str(error))
        return []
    found = [read_piece(entry_id, fields["d"]) for entry_id, fields in entries if "d" in fields]
    return [chunk for chunk in found if chunk is not None]
