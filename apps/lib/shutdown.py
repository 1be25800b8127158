"""One byte that a worker's parent shares with its children, or a web process keeps for itself: told to shut down.

Celery tells the parent alone. The byte lives in memory mapped before the fork, so children (also those forked later) see it;
the module must therefore be imported in the parent, which importing any task module does.
"""

import mmap
import signal
import threading
from collections.abc import Callable
from types import FrameType

_flag = mmap.mmap(-1, 1)


def ask_to_stop() -> None:
    """Called in the parent when its worker is told to shut down."""
    _flag[0] = 1


def heed_signals() -> None:
    """In a server that stops by handlers of its own: it is noted, and they are told. Only a main thread can hear of it."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _noting(signal.getsignal(number)))


def _noting(earlier: object) -> Callable[[int, FrameType | None], None]:
    def handle(number: int, frame: FrameType | None) -> None:
        ask_to_stop()
        if callable(earlier):
            earlier(number, frame)
        elif earlier == signal.SIG_DFL:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    return handle


def is_stopping() -> bool:
    """True once this process, or its worker, has been told to shut down."""
    return _flag[0] == 1
