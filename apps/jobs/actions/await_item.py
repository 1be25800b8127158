"""Wait for items without holding a thread or a connection each.

One Redis subscription per process brings the ids of ended items to the futures that wait for them. One shared look into Postgres
each second is the net below it, so that a lost word (or a Redis that is down) costs a second.
"""

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

import redis
import structlog

from apps.jobs.actions.call_threads import in_thread, leave_to_thread
from apps.jobs.actions.keep_unheard import forget_heard
from apps.jobs.domain.chunk import Chunk, read_message
from apps.lib.background import INFRASTRUCTURE_ERRORS
from apps.lib.ids import uuid7
from apps.lib.redis_client import open_async_redis
from apps.lib.shutdown import is_stopping
from apps.lib.sql import server_cursor

log = structlog.get_logger(__name__)

_POLL_SECONDS = 1.0
_AGAIN_SECONDS = 1.0
_TOGETHER_SECONDS = 0.02
_MOST_UNFORGOTTEN = 10_000
_ENDED = "SELECT id FROM jobs_item WHERE id = ANY(%b::uuid[]) AND state NOT IN ('waiting', 'running')"


class ReplyHub:
    """The waiting callers of one event loop; `channel` is what goes into `Item.reply_to`."""

    def __init__(self) -> None:
        self.channel = f"aiplatform:reply:{uuid7().hex}"
        self._waiting: dict[UUID, list[asyncio.Future[None]]] = {}
        self._readers: dict[UUID, asyncio.Queue[Chunk | None]] = {}
        self._heard: list[tuple[str, UUID]] = []
        # What Redis could not be told; the newest, should it be away for long.
        self._unforgotten: deque[tuple[str, UUID]] = deque(maxlen=_MOST_UNFORGOTTEN)
        self._tasks: list[asyncio.Task[None]] = []

    @contextmanager
    def expect(self, item_id: UUID) -> Iterator["asyncio.Future[None]"]:
        """A future that is done when the item has ended. Enter before the item exists, or its end may pass unheard."""
        if not self._tasks or any(task.done() for task in self._tasks):
            self._start()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Several wait for one item when a call is sent again while it is under way.
        self._waiting.setdefault(item_id, []).append(future)
        try:
            yield future
        finally:
            self._waiting[item_id].remove(future)
            if not self._waiting[item_id]:
                del self._waiting[item_id]

    @contextmanager
    def read(self, item_id: UUID) -> Iterator["asyncio.Queue[Chunk | None]"]:
        """The pieces of the item's answer as they come, for the one who submits it."""
        queue = self._readers[item_id] = asyncio.Queue()
        try:
            yield queue
        finally:
            del self._readers[item_id]

    @contextmanager
    def unheard(self, item_id: UUID, key: str) -> Iterator[None]:
        """The item stands there in Redis until its caller has heard its answer, or has left; an empty key: nowhere.

        Whom a process that stops sends away has not left.
        """
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            if not is_stopping():
                self.forget(item_id, key)
            raise
        except BaseException:
            self.forget(item_id, key)
            raise
        self.forget(item_id, key)

    def forget(self, item_id: UUID, key: str) -> None:
        """Nobody waits for the item any more."""
        if not key:
            return
        if is_stopping():
            # The process may be over before a thread comes to it.
            self._forget([(key, item_id)])
            return
        if not self._heard:
            asyncio.get_running_loop().call_later(_TOGETHER_SECONDS, self._forget_heard)
        self._heard.append((key, item_id))

    def _start(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks = [asyncio.create_task(self._listen_for_ever()), asyncio.create_task(self._poll_for_ever())]

    def _hear(self, message: Mapping[str, Any]) -> None:
        if message["type"] != "message":
            return
        for line in message["data"].split("\n"):
            self._hear_line(line, channel=str(message["channel"]))

    def _hear_line(self, line: str, *, channel: str) -> None:
        try:
            item_id, chunk = read_message(line)
        except ValueError:
            # Whoever reaches Redis may publish there, and must not make us deaf.
            log.warning("reply_unreadable", channel=channel)
            return
        if chunk is None:
            self._tell(item_id)
        elif reader := self._readers.get(item_id):
            reader.put_nowait(chunk)

    def _tell(self, item_id: UUID) -> None:
        for future in self._waiting.get(item_id, ()):
            if not future.done():
                future.set_result(None)

    async def _listen_for_ever(self) -> None:
        while True:
            try:
                async with open_async_redis() as client, client.pubsub() as subscription:
                    await subscription.subscribe(self.channel)
                    async for message in subscription.listen():
                        self._hear(message)
            except (redis.RedisError, OSError) as error:
                log.warning("not_listening_for_replies", error=str(error))
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _poll_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            if self._unforgotten:
                again = list(self._unforgotten)
                self._unforgotten.clear()
                leave_to_thread(self._forget, again)
            if not self._waiting:
                continue
            try:
                ended = await in_thread(_find_ended, list(self._waiting))
            except INFRASTRUCTURE_ERRORS as error:
                log.warning("replies_not_polled", waiting=len(self._waiting), error=str(error))
                continue
            for item_id in ended:
                self._tell(item_id)

    def _forget_heard(self) -> None:
        heard, self._heard = self._heard, []
        leave_to_thread(self._forget, heard)

    def _forget(self, heard: Sequence[tuple[str, UUID]]) -> None:
        """What can't be forgotten now would be given to others as unheard, once this process is gone: it is tried again."""
        if not forget_heard(heard):
            self._unforgotten.extend(heard)


_hubs: "WeakKeyDictionary[asyncio.AbstractEventLoop, ReplyHub]" = WeakKeyDictionary()


def reply_hub() -> ReplyHub:
    """The hub of the running event loop; a web process has one."""
    loop = asyncio.get_running_loop()
    hub = _hubs.get(loop)
    if hub is None:
        hub = _hubs[loop] = ReplyHub()
    return hub


def _find_ended(ids: Sequence[UUID]) -> list[UUID]:
    with server_cursor() as cursor:
        cursor.execute(_ENDED, (list(ids),))
        return [row[0] for row in cursor]
