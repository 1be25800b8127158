"""Ask a running stack to replace its parts one after another, and follow it until it has."""

import os
import time
from collections.abc import Collection
from pathlib import Path
from uuid import uuid4

from apps.ops.actions.stack.change_secrets import changed_secrets, check_sealed
from apps.ops.actions.stack.keep_restart import ask_for_restart, load_restart
from apps.ops.actions.stack.keep_state import load_state
from apps.ops.actions.stack.lock_home import is_locked
from apps.ops.actions.stack.supervise import Report
from apps.ops.domain.restart import PartUnknownError, Restart, parts_to_replace
from apps.ops.domain.stack import SUPERVISOR, PartReport, PartState, StackError

_LOOK_SECONDS = 0.1
_SEALING = "AIPLATFORM_ENCRYPTION_KEYS"


def restart_parts(*, home: Path, parts: Collection[str], report: Report) -> tuple[str, ...]:
    """The parts that were replaced, each healthy before the next was touched.

    StackError when one did not come back, or when what was sealed meanwhile needs a key that was taken away.
    """
    if not home.is_dir() or not is_locked(home):
        msg = f"No stack runs in {home}: start it with 'make up', or set AIPLATFORM_HOME."
        raise StackError(msg)
    state = load_state(home)
    running = [name for name in state.pids if name != SUPERVISOR]
    try:
        wanted = parts_to_replace(running, parts)
        restart = Restart(id=uuid4().hex, parts=wanted, environment=changed_secrets(state.environment, os.environ))
    except PartUnknownError as error:
        raise StackError(str(error)) from error
    if not restart.parts:
        raise StackError("The stack is starting or stopping; ask again in a moment.")
    ask_for_restart(home, restart)
    replaced = _follow(home, restart, report)
    if _SEALING in restart.environment:
        # A part that an earlier restart did not get to may have sealed with a key of before until just now.
        check_sealed(restart.environment)
    return replaced


def _follow(home: Path, restart: Restart, report: Report) -> tuple[str, ...]:
    told = 0
    while True:
        seen = load_restart(home)
        if seen is None or seen.id != restart.id or not is_locked(home):
            raise StackError("The stack was stopped before the restart was over.")
        for name in seen.replaced[told:]:
            report(PartReport(part=name, state=PartState.HEALTHY, log=str(home / "logs" / f"{name}.log"), note="replaced"))
        told = len(seen.replaced)
        if seen.error:
            raise StackError(seen.error)
        if seen.is_over:
            return seen.replaced
        time.sleep(_LOOK_SECONDS)
