"""Points in the code at which a test may kill, stop or break the process that passes.

Off unless AIPLATFORM_FAILPOINTS names a folder. A file there, named like a point and holding `kill`, `stop` or `raise`, arms it once:
the first process of all that passes takes the file away and does as it says. `check --deploy` refuses the variable.
"""

import os
import signal
from pathlib import Path

VARIABLE = "AIPLATFORM_FAILPOINTS"
POINTS = (
    "validate.loaded",
    "validate.before_commit",
    "validate.after_commit",
    "claim.before_commit",
    "claim.after_commit",
    "call.before_send",
    "call.answered",
    "tool.begun",
    "tool.ended",
    "settle.before_commit",
    "settle.after_commit",
    "finish.before_commit",
    "finish.after_commit",
    "expire.after_commit",
    "advance.before_commit",
    "advance.after_commit",
    "ring.before_publish",
    "ring.after_publish",
    "deliver.claimed",
    "deliver.answered",
    "deliver.before_commit",
    "deliver.after_commit",
    "roll_up.before_commit",
    "roll_up.after_commit",
    "extract.claimed",
    "extract.extracted",
    "extract.group_stored",
    "extract.stored",
    "extract.before_commit",
    "extract.after_commit",
    "index.before_commit",
    "index.after_commit",
    "index.stored",
)
_FOLDER = os.environ.get(VARIABLE)


class FailpointError(Exception):
    """Raised by a point that is armed with `raise`."""


def failpoint(name: str) -> None:
    """Nothing, unless a test has armed this point."""
    if _FOLDER:
        _pass(Path(_FOLDER), name)


def _pass(folder: Path, name: str) -> None:
    taken = folder / f"{name}.{os.getpid()}"
    try:
        (folder / name).rename(taken)
    except FileNotFoundError:
        return
    action = taken.read_text().strip()
    if action == "raise":
        raise FailpointError(name)
    os.kill(os.getpid(), {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}[action])
