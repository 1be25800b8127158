"""The file through which a rolling restart is asked for and tells how far it is: `restart.json` in the stack's home."""

import json
import os
from dataclasses import asdict
from pathlib import Path

from apps.ops.domain.restart import Restart, restart_from_json
from apps.ops.domain.stack import StackError


def _file(home: Path) -> Path:
    return home / "restart.json"


def load_restart(home: Path) -> Restart | None:
    """None when none was asked for."""
    try:
        return restart_from_json(json.loads(_file(home).read_text()))
    except FileNotFoundError:
        return None


def save_restart(home: Path, restart: Restart) -> None:
    """Replace the file at once: whoever reads it reads the old or the new."""
    _draft(home, restart).rename(_file(home))


def ask_for_restart(home: Path, restart: Restart) -> None:
    """StackError while another one is under way."""
    draft = _draft(home, restart)
    try:
        earlier = load_restart(home)
        if earlier is not None and earlier.is_over:
            forget_restart(home)
        # Of two who ask at once, one gets the name.
        os.link(draft, _file(home))
    except FileExistsError as error:
        raise StackError("A restart of this stack is under way: wait until it is over.") from error
    finally:
        draft.unlink()


def _draft(home: Path, restart: Restart) -> Path:
    """For us alone: it may hold secrets."""
    draft = home / f"restart.json.{restart.id}"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(asdict(restart), file)
    return draft


def forget_restart(home: Path) -> None:
    """What was asked of a supervisor that is gone, or is over."""
    _file(home).unlink(missing_ok=True)
