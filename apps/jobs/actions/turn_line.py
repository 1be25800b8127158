"""Turns that wait for those before them stand in line, by when they came: one of each conversation asks, the others wait behind it.

Of one web process. Another one has a line of its own; between the first of each, whoever looks first is asked next.
"""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from heapq import heappop, heappush
from uuid import UUID
from weakref import WeakKeyDictionary


class TurnLine:
    """The lines of an event loop's conversations; a ticket says when its turn came."""

    def __init__(self) -> None:
        self.tickets = itertools.count()
        self._waiting: defaultdict[UUID, list[tuple[int, asyncio.Future[None]]]] = defaultdict(list)
        self._taken: set[UUID] = set()

    def has_some(self, conversation_id: UUID) -> bool:
        """Whether a turn is at the head, and others perhaps behind it."""
        return conversation_id in self._taken

    def count_waiting(self, conversation_id: UUID) -> int:
        """How many stand behind the head."""
        return sum(not place.done() for _, place in self._waiting.get(conversation_id, ()))

    @asynccontextmanager
    async def head(self, conversation_id: UUID, ticket: int) -> AsyncIterator[None]:
        """Enter when all who came before are out; those who leave the line are passed over."""
        if conversation_id in self._taken:
            place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            heappush(self._waiting[conversation_id], (ticket, place))
            try:
                await place
            except asyncio.CancelledError:
                if not place.cancelled():
                    # It was called, and leaves at the same moment.
                    self._call_next(conversation_id)
                raise
        self._taken.add(conversation_id)
        try:
            yield
        finally:
            self._call_next(conversation_id)

    def _call_next(self, conversation_id: UUID) -> None:
        waiting = self._waiting[conversation_id]
        while waiting:
            _, place = heappop(waiting)
            if not place.done():
                # The head stays taken: nobody comes between.
                place.set_result(None)
                return
        del self._waiting[conversation_id]
        self._taken.discard(conversation_id)


_lines: "WeakKeyDictionary[asyncio.AbstractEventLoop, TurnLine]" = WeakKeyDictionary()


def turn_line() -> TurnLine:
    """The line of the running event loop; a web process has one."""
    return _lines.setdefault(asyncio.get_running_loop(), TurnLine())
