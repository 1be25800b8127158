"""The supervisor's side of a rolling restart: the schema first, then one part after another, each healthy before the next."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from apps.ops.actions.stack.keep_restart import load_restart, save_restart
from apps.ops.actions.stack.supervise import Supervisor
from apps.ops.domain.stack import StackError


def replace_parts(home: Path, supervisor: Supervisor, prepare: Sequence[str]) -> None:
    """Do what was asked for, if anything was. A part that doesn't come back ends the restart, not the stack."""
    restart = load_restart(home)
    if restart is None or restart.is_over:
        return
    if restart.environment:
        supervisor.take_environment(restart.environment)
        restart = replace(restart, environment={})
        save_restart(home, restart)
    try:
        supervisor.run_once("prepare", list(prepare))
        for name in restart.parts:
            supervisor.replace(name)
            restart = restart.after(name)
            save_restart(home, restart)
    except StackError as error:
        left = ", ".join(name for name in restart.parts if name not in restart.replaced)
        save_restart(home, restart.ended(f"The restart ended before {left}: {error}"))
        return
    save_restart(home, restart.ended())
