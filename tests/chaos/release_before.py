"""The release before this one, taken from the history of the clone."""

import shutil
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

from tests.architecture.source import ROOT

# Until there are tags: the last state that was in use before the present tables. Moved on by hand.
_IN_USE = "6bf93c0738c254f008a6215e79ffa26b15ccb4e6"


def _git(*arguments: str) -> bytes | None:
    """What git says; None when it refuses, or isn't there."""
    if shutil.which("git") is None:
        return None
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None


def release_before() -> str:
    """The newest tag before this commit; until there is one, what was in use last."""
    tag = _git("describe", "--tags", "--abbrev=0", "--match", "v[0-9]*", "HEAD^") or b""
    return tag.decode().strip() or _IN_USE


def unpack(release: str, folder: Path) -> Path:
    """The tree of a release in `folder`; RuntimeError tells of a clone that doesn't hold it."""
    archive = _git("archive", "--format=tar", release)
    if archive is None:
        msg = f"there is no history here that holds {release} (in a clone that was cut short: git fetch --unshallow --tags)"
        raise RuntimeError(msg)
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    return folder
