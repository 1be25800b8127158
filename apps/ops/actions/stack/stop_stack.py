"""Stop the stack of a home: through its supervisor, or, when that was killed, by its records."""

import os
import signal
import time
from pathlib import Path

from apps.lib.processes import is_same_process
from apps.ops.actions.stack.end_leftovers import end_leftovers
from apps.ops.actions.stack.keep_state import load_state, save_state
from apps.ops.actions.stack.lock_home import is_locked, lock_home
from apps.ops.domain.stack import SUPERVISOR, StackError

_STOP_SECONDS = 120.0


def stop_stack(home: Path) -> bool:
    """False when nothing ran there. Returns after the last process has ended."""
    if not home.is_dir():
        return False
    if is_locked(home):
        _stop_supervisor(home)
        return True
    with lock_home(home):
        state = load_state(home)
        if not state.pids:
            return False
        left = end_leftovers(state)
        save_state(home, state)
        return bool(left)


def _stop_supervisor(home: Path) -> None:
    pid, started_at = load_state(home).pids.get(SUPERVISOR, (0, 0.0))
    if pid and is_same_process(pid, started_at):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while is_locked(home):
        if time.monotonic() > deadline:
            msg = f"The stack in {home} (process {pid}) did not stop within {_STOP_SECONDS:.0f} s: stop it with 'kill -9 {pid}'."
            raise StackError(msg)
        time.sleep(0.1)
