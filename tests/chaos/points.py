"""Failpoints of processes that run: armed in a folder that they look at, found again by what fired."""

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.chaos.workers import until


@dataclass
class Points:
    """The folder in which points are armed; a file there, named like a point and a process, says that it fired in it."""

    folder: Path

    def arm(self, point: str, action: str) -> None:
        ready = self.folder / f"{point}.new"
        ready.write_text(action)
        ready.rename(self.folder / point)

    def has_fired(self, point: str) -> bool:
        return any(self.folder.glob(f"{point}.*"))

    def pid_of(self, point: str) -> int:
        return int(next(self.folder.glob(f"{point}.*")).suffix[1:])

    def disarm(self) -> None:
        for file in self.folder.iterdir():
            file.unlink()

    def let_go_on(self, point: str, was_overtaken: Callable[[], bool], *, after_seconds: float, meanwhile: Callable[[], object]) -> None:
        """Continue the process that `point` has stopped: once its lease is over, and others have taken what it held."""
        stopped = psutil.Process(self.pid_of(point))
        until(lambda: stopped.status() == psutil.STATUS_STOPPED, "the process stopped")
        until_at = time.monotonic() + after_seconds
        until(lambda: time.monotonic() > until_at and was_overtaken(), "what it held was taken over", meanwhile=meanwhile)
        stopped.send_signal(signal.SIGCONT)
