"""End what a killed supervisor left behind: only processes that it recorded, and only while they are still the same ones."""

import os
import signal
import time

from apps.lib.processes import is_same_process, kill_group
from apps.ops.domain.stack import SUPERVISOR, StackState

_GRACE_SECONDS = 10.0


def end_leftovers(state: StackState) -> list[str]:
    """The names of the parts that were still there; all have ended when this returns."""
    found = {name: pid for name, (pid, started_at) in state.pids.items() if name != SUPERVISOR and is_same_process(pid, started_at)}
    for name, pid in found.items():
        os.kill(pid, signal.SIGINT if name == "postgres" else signal.SIGTERM)
    deadline = time.monotonic() + _GRACE_SECONDS
    while any(is_same_process(pid, state.pids[name][1]) for name, pid in found.items()) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in found.values():
        kill_group(pid)
    state.forget_addresses()
    return sorted(found)
