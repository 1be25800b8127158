"""Tell the pieces of streamed answers as they come: to the web process whose caller waits, and to a stream that whoever resumes reads.

Nothing hangs on it: the answer itself is settled like any other. A Redis that is slow or down costs the caller the liveliness.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from uuid import UUID

import redis
import redis.asyncio
import structlog

from apps.jobs.domain.chunk import STREAM_LENGTH, STREAM_SECONDS, Chunk, run_number, stream_key, write_messages
from apps.jobs.domain.claimed import ClaimedItem
from apps.lib.redis_client import open_async_redis

log = structlog.get_logger(__name__)

_SEND_SECONDS = 5.0
# What comes within this time goes together: each message costs both sides, so the more answers come at once, the longer.
_PAUSE_SECONDS, _PAUSE_PER_ANSWER, _LONGEST_PAUSE = 0.004, 0.0002, 0.03
# And so many at most: whatever comes first waits for what is on its way.
_MOST_TOGETHER = 200
_DRAIN_SECONDS = 1.0
# More than this waits only for a Redis that does not answer.
_MOST_WAITING = 50_000


_Told = tuple[str, UUID, Chunk]


class RunTeller:
    """Takes the pieces of one run; an empty one says that the answer is whole."""

    def __init__(self, add: Callable[[Chunk], None], run: int) -> None:
        self._add, self._run, self.number = add, run, 0

    @property
    def last_id(self) -> str:
        """The last piece that it took; empty before the first."""
        return f"{self._run}-{self.number}" if self.number else ""

    def __call__(self, data: bytes, *, behind: str = "") -> None:
        """`behind`: the piece of an earlier run that these follow; `data` then says again what had been said."""
        if data or self.number:
            self.number += 1
            self._add(Chunk(self._run, self.number, data.decode(), behind))


class ChunkTeller:
    """A pump's: what all its calls have to tell goes out together, in the order that it came; but the first piece of an answer at once."""

    def __init__(self) -> None:
        self._firsts: list[_Told] = []
        self._waiting: list[_Told] = []
        self._has_some, self._has_first = asyncio.Event(), asyncio.Event()
        self._answers = 0
        # First pieces and others, each kind in its order: first ones never wait for others.
        self._taken, self._sent = (0, 0), (0, 0)
        self._awaited: list[tuple[tuple[int, int], asyncio.Future[None]]] = []

    @asynccontextmanager
    async def of(self, item: ClaimedItem) -> AsyncIterator["RunTeller"]:
        """What takes the pieces of an item's answer. At the end what it took is out, or given up."""
        tell = RunTeller(partial(self._add, item.reply_to, item.item_id), run_number(item.claimed_at))
        self._answers += 1
        try:
            yield tell
        finally:
            self._answers -= 1
            if tell.number:
                await self._see_out()

    def _add(self, channel: str, item_id: UUID, chunk: Chunk) -> None:
        if len(self._waiting) >= _MOST_WAITING:
            return
        if chunk.number == 1:
            self._firsts.append((channel, item_id, chunk))
            self._has_first.set()
        else:
            self._waiting.append((channel, item_id, chunk))
        is_first = chunk.number == 1
        self._taken = (self._taken[0] + is_first, self._taken[1] + (not is_first))
        self._has_some.set()

    async def _see_out(self) -> None:
        """Until what has been taken so far is out; at once when it is."""
        if self._is_out(self._taken):
            return
        out: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._awaited.append((self._taken, out))
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                await out

    def _is_out(self, place: tuple[int, int]) -> bool:
        return place[0] <= self._sent[0] and place[1] <= self._sent[1]

    def _count_out(self, firsts: int, others: int) -> None:
        self._sent = (self._sent[0] + firsts, self._sent[1] + others)
        for place, out in self._awaited:
            if self._is_out(place) and not out.done():
                out.set_result(None)
        self._awaited = [(place, out) for place, out in self._awaited if not out.done()]

    async def send_for_ever(self) -> None:
        """Until it is cancelled."""
        loop, due = asyncio.get_running_loop(), 0.0
        async with open_async_redis() as client:
            while True:
                await self._has_some.wait()
                if not self._firsts and due > loop.time():
                    with suppress(TimeoutError):
                        async with asyncio.timeout_at(due):
                            await self._has_first.wait()
                firsts, others = self._take(has_others=loop.time() >= due)
                try:
                    async with asyncio.timeout(_SEND_SECONDS):
                        await _send(client, firsts + others)
                except (redis.RedisError, OSError, TimeoutError) as error:
                    log.warning("chunks_not_told", chunks=len(firsts) + len(others), error=str(error))
                self._count_out(len(firsts), len(others))
                if others:
                    due = loop.time() + (self._pause if len(others) < _MOST_TOGETHER else 0.0)

    @property
    def _pause(self) -> float:
        return min(_PAUSE_SECONDS + _PAUSE_PER_ANSWER * self._answers, _LONGEST_PAUSE)

    def _take(self, *, has_others: bool) -> tuple[list[_Told], list[_Told]]:
        """First pieces, and where they are due others, oldest first."""
        firsts, self._firsts = self._firsts, []
        most = _MOST_TOGETHER if has_others else 0
        others, self._waiting = self._waiting[:most], self._waiting[most:]
        self._has_first.clear()
        if not self._waiting:
            self._has_some.clear()
        return firsts, others


async def _send(client: "redis.asyncio.Redis", batch: list[_Told]) -> None:
    async with client.pipeline(transaction=False) as pipeline:
        for _, item_id, chunk in batch:
            pipeline.xadd(stream_key(item_id), {"d": chunk.text}, id=chunk.id, maxlen=STREAM_LENGTH, approximate=True)
        # One word for each process that waits: both sides pay by the message.
        for channel in {channel for channel, _, _ in batch}:
            pipeline.publish(channel, write_messages((item_id, chunk) for of, item_id, chunk in batch if of == channel))
        # Whatever becomes of this process, none of them stays for ever.
        for key in {stream_key(item_id) for _, item_id, _ in batch}:
            pipeline.expire(key, STREAM_SECONDS)
        # An id that is too old is refused: the item has another run by now.
        await pipeline.execute(raise_on_error=False)
