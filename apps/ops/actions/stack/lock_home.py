"""One stack a home: a lock that the kernel lets go of when its holder ends, however it ends."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from apps.ops.domain.stack import StackError


@contextmanager
def lock_home(home: Path) -> Iterator[None]:
    """Hold this home; StackError when another stack does."""
    with (home / "stack.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            msg = f"A stack already runs in {home}: 'manage.py status' shows it, 'manage.py down' stops it; or set AIPLATFORM_HOME."
            raise StackError(msg) from error
        yield


def is_locked(home: Path) -> bool:
    """True while a stack runs (or starts, or stops) in this home."""
    try:
        with (home / "stack.lock").open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
