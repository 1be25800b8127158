"""One thread with one database connection, for an event loop that must not wait for Postgres."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import ParamSpec, Self, TypeVar

from django.db import InternalError, OperationalError, connection

from apps.lib.background import INFRASTRUCTURE_ERRORS

P = ParamSpec("P")
T = TypeVar("T")


class DatabaseThread:
    """Runs one function at a time; a connection that breaks is closed, so that the next call gets a new one."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._executor.submit(_close).result()
        self._executor.shutdown()

    async def do(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The function's answer, computed on this thread."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, partial(_guarded, function, *args, **kwargs))


def _close() -> None:
    """`connection` means the calling thread's, so its method must be looked up on the thread that it belongs to."""
    connection.close()


def _guarded(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return function(*args, **kwargs)
    except INFRASTRUCTURE_ERRORS:
        connection.close()
        raise
    except InternalError as error:
        # Django's name for a write to a database that is read-only, among others.
        if not isinstance(error.__cause__, INFRASTRUCTURE_ERRORS):
            raise
        connection.close()
        raise OperationalError(*error.args) from error
