"""The few threads in which waiting calls touch the database: 300 callers share their connections, and hold none while they wait."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

import structlog
from django.db import connection

P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger(__name__)

MAX_THREADS = 8
_threads = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="calls")
# What may itself wait for a call: on the others it would wait for a thread that it holds.
_long_threads = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="turns")


def start_in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "Future[T]":
    """Run `function` on one of the threads; its connection goes back to the pool when it returns."""
    return _threads.submit(partial(_run, function, *args, **kwargs))


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The function's answer, computed on one of the threads."""
    return await asyncio.wrap_future(start_in_thread(function, *args, **kwargs))


async def in_long_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """As `in_thread`, for what may make a call and wait for its answer."""
    return await asyncio.wrap_future(_long_threads.submit(partial(_run, function, *args, **kwargs)))


def leave_to_thread(function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Run `function` for its effect, when nobody is left to hear of its failure but the log."""
    start_in_thread(function, *args, **kwargs).add_done_callback(_log_failure)


def _run(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return function(*args, **kwargs)
    finally:
        connection.close()


def _log_failure(future: "Future[object]") -> None:
    if error := future.exception():
        log.error("left_undone", error=repr(error))
