"""Read and write stack.json: secrets, so for us alone, and never half written."""

import json
import os
from pathlib import Path

from apps.ops.domain.stack import StackError, StackState, state_from_json


def _file(home: Path) -> Path:
    return home / "stack.json"


def load_state(home: Path) -> StackState:
    """What an earlier or running stack wrote; empty when there was none."""
    try:
        return state_from_json(json.loads(_file(home).read_text()))
    except FileNotFoundError:
        return StackState()
    except (ValueError, TypeError, AttributeError) as error:
        msg = f"{_file(home)} can't be read ({error}); it holds this home's secrets: restore it, or remove the whole folder to start anew."
        raise StackError(msg) from error


def save_state(home: Path, state: StackState) -> None:
    """Replace the file at once, mode 600."""
    draft = home / "stack.json.new"
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump(state.as_json(), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(_file(home))
