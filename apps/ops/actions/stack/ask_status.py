"""Ask every part of a home's stack to do something, and tell what came back."""

from pathlib import Path

from apps.lib.processes import is_same_process
from apps.ops.actions.stack.keep_state import load_state
from apps.ops.actions.stack.lock_home import is_locked
from apps.ops.actions.stack.probe import healthy_parts
from apps.ops.domain.stack import SUPERVISOR, PartReport, PartState, StackError


def ask_status(home: Path) -> list[PartReport]:
    """One report a part, servers of somebody else included. StackError when no stack runs there."""
    if not home.is_dir() or not is_locked(home):
        msg = f"No stack runs in {home}: start it with 'make up', or set AIPLATFORM_HOME."
        raise StackError(msg)
    state = load_state(home)
    own = [name for name in state.pids if name != SUPERVISOR]
    if "REDIS_URL" not in state.environment:
        raise StackError("The stack is starting or stopping; ask again in a moment.")
    names = [*(name for name in ("postgres", "valkey") if name not in own), *own]
    healthy = healthy_parts(names, state.environment)
    reports = []
    for name in names:
        is_external = name not in own
        runs = is_external or is_same_process(*state.pids[name])
        good = PartState.EXTERNAL if is_external else PartState.HEALTHY
        note = "" if name in healthy and runs else "does not answer" if runs else "is not running"
        log = "" if is_external else str(home / "logs" / f"{name}.log")
        reports.append(PartReport(part=name, state=PartState.UNHEALTHY if note else good, log=log, note=note))
    return reports
