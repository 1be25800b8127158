"""How many streams each caller has open in this process: every one of them looks for news again and again, for as long as it lasts."""

import threading
import weakref
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from uuid import UUID

from apps.lib.http_errors import ApiError

_AGAIN_SECONDS = "5"


class OpenStreams:
    """Counts the streams of one process by the key that each was opened with."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: Counter[UUID] = Counter()

    def of(self, key_id: UUID) -> int:
        """How many this key has open."""
        return self._open[key_id]

    def open(self, lines: AsyncGenerator[bytes, None], *, key_id: UUID, most: int) -> "CountedStream":
        """`lines`, counted for as long as they are read. ApiError 429 while the key has `most` streams open; 0: no limit."""
        with self._lock:
            if most and self._open[key_id] >= most:
                message = f"This key has {most} streams open at this server, and may have no more; close one, or wait until one ends."
                raise ApiError(429, "too_many_streams", message, headers={"Retry-After": _AGAIN_SECONDS})
            self._open[key_id] += 1
        return CountedStream(lines, self, key_id)

    def leave(self, key_id: UUID) -> None:
        """One of the key's streams is over."""
        with self._lock:
            self._open[key_id] -= 1
            if not self._open[key_id]:
                del self._open[key_id]


class CountedStream:
    """Lines of a stream. It is over once they are read, it is closed, or thrown away unread: whichever comes first, once."""

    def __init__(self, lines: AsyncGenerator[bytes, None], streams: OpenStreams, key_id: UUID) -> None:
        self._lines = lines
        self.close = weakref.finalize(self, streams.leave, key_id)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async with aclosing(self._lines) as lines:
                async for line in lines:
                    yield line
        finally:
            self.close()
