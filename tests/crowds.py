"""Many who do something at the same moment."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from django.db import connection


def all_at_once(number: int, work: Callable[[], object]) -> None:
    """So many do the work, each with a database connection of its own; what one of them raises is raised."""
    start = Barrier(number)

    def run() -> None:
        try:
            start.wait(240)
            work()
        finally:
            connection.close()

    with ThreadPoolExecutor(number) as pool:
        for done in [pool.submit(run) for _ in range(number)]:
            done.result()
