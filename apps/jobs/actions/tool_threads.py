"""The few threads of a pump on which tools run, so that neither its calls nor its claims wait for them."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Self

from django.db import connection

from apps.jobs.actions.run_tool import ToolOrder, give_up, run_tool
from apps.traces.domain.records import EffectEnd

_THREADS = 8


class ToolThreads:
    """One tool keeps a thread until it really ends, also beyond its time: a tool that hangs holds up a few others, not the pump."""

    def __init__(self) -> None:
        self._tools = ThreadPoolExecutor(_THREADS, thread_name_prefix="tool")
        self._records = ThreadPoolExecutor(1, thread_name_prefix="tool-record")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._tools.shutdown(wait=False, cancel_futures=True)
        self._records.shutdown()

    async def run(self, order: ToolOrder) -> EffectEnd:
        """What the call came to within its time. Infrastructure errors are raised, and ItemLostError."""
        loop = asyncio.get_running_loop()
        running = loop.run_in_executor(self._tools, partial(_closing, run_tool, order))
        limit = order.use.tool.limit_seconds if order.use else None
        try:
            async with asyncio.timeout(limit):
                return await asyncio.shield(running)
        except TimeoutError:
            if not order.verdict.say(in_time=False):
                return await running
            running.add_done_callback(_look_away)
            return await loop.run_in_executor(self._records, partial(_closing, give_up, order))


def _closing(function: Callable[[ToolOrder], EffectEnd], order: ToolOrder) -> EffectEnd:
    try:
        return function(order)
    finally:
        connection.close()


def _look_away(running: "asyncio.Future[EffectEnd]") -> None:
    """Its end is nobody's any more; an error of it would be told as never looked at."""
    if not running.cancelled():
        running.exception()
