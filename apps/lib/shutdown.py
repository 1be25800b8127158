"""One byte that a worker's parent shares with its children: told to shut down.

Celery tells the parent alone. The byte lives in memory mapped before the fork, so children (also those forked later) see it;
the module must therefore be imported in the parent, which importing any task module does.
"""

import mmap

_flag = mmap.mmap(-1, 1)


def ask_to_stop() -> None:
    """Called in the parent when its worker is told to shut down."""
    _flag[0] = 1


def is_stopping() -> bool:
    """True once this process's worker has been told to shut down."""
    return _flag[0] == 1
